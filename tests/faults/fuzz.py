"""Fuzzers of what the pipeline reads from users and from disk: a sound input, changed in a few places at random.

Each target writes sound files into a folder, says which of them are changed, and reads them as the pipeline does. A
Failure is an answer, anything else a bug, and so is an attempt beyond the bounds of tests/faults/bounded.py.
"""

import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.bounded import problem_of
from tests.faults.mutator import changed
from tests.support import idx_files

BATCH = 100  # inputs of a process


@dataclass(frozen=True)
class Target:
    write: Callable[[Path], list[Path]]  # writes sound files, returns those to change
    read: Callable[[Path], object]  # reads what is in the folder
    words: tuple[bytes, ...] = ()  # that its format knows


def fuzz(target: str, seed: int, first: int, folder: str) -> int:
    """Try BATCH inputs from the number *first* on; prints a list of the failures in JSON."""
    work, sound, of_target = Path(folder, "input"), Path(folder, "sound"), TARGETS[target]
    sound.mkdir()
    names = [file.relative_to(sound) for file in of_target.write(sound)]
    of_target.read(sound)  # what a first call imports and keeps is no growth
    failures = []
    for number in range(first, first + BATCH):
        rng = random.Random(f"{seed} {target} {number}")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(sound, work)
        file = work / rng.choice(names)
        file.write_bytes(changed(file.read_bytes(), rng, of_target.words))
        print(number, file=sys.stderr, flush=True)  # a sign of life
        if problem := problem_of(partial(of_target.read, work)):
            failures.append(f"{target} input {number}, {file.name}: {problem}")
    print(json.dumps(failures))
    return 0


def _idx(packed: bool) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        return sorted(idx_files.write(folder, packed).iterdir())

    return write


def _read_source(folder: Path) -> None:
    """All images of a source, as ingest reads them."""
    from components.ingest import select
    from components.settings.sections import Ingest

    source = select.read(Ingest(source=str(folder)), folder.parent / "cache")
    for _ in source.blocks:
        pass
    source.fingerprint()


def _picture(suffix: str, mode: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        from PIL import Image

        rng = np.random.default_rng(0)
        file = folder / f"image.{suffix}"
        pixels = rng.integers(0, 256, (24, 20, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(file)
        return [file]

    return write


def _read_picture(folder: Path) -> None:
    from components.data.pictures import decoding
    from components.data.pictures.resizing import Resizing

    paths = [str(path) for path in folder.iterdir()]
    decoding.survey(paths)
    decoding.decode(paths, (28, 28, 3), Resizing())


def _settings(folder: Path) -> list[Path]:
    from pipeline.config import PROFILES

    shutil.copy(PROFILES / "fast.toml", folder / "settings.toml")
    extra = b'\n[schedule]\ncron = "0 3 * * 1"\ntimezone = "Europe/Berlin"\n\n[gate]\nmin_accuracy = 0.9\n'
    extra += b'\n[tune]\n"train.epochs" = [1, 2]\n'
    with (folder / "settings.toml").open("ab") as file:
        file.write(extra)
    return [folder / "settings.toml"]


def _read_settings(folder: Path) -> None:
    from pipeline import config

    config.load(str(folder / "settings.toml"), (), "digits", {})


def _manifest(folder: Path) -> list[Path]:
    from pipeline.store.local import Store
    from pipeline.store.recipe import Recipe, key

    store = Store(folder)
    recipe: Recipe = {"stage": "ingest", "code": {}, "params": {}, "inputs": {}, "runtime": {}}
    with store.draft("ingest", key(recipe)) as draft:
        (draft / "a.npy").write_bytes(b"content")
        (draft / "b").mkdir()
        (draft / "b" / "c.json").write_bytes(b"{}")
        store.publish(draft, recipe, {"images": 3}, {"seconds": 1.5})
    return [*folder.glob("ingest/*/manifest.json")]


def _read_manifest(folder: Path) -> None:
    """Also fails where a changed manifest is taken for another one."""
    from pipeline.store.local import Store

    store = Store(folder)
    [(stage, key)] = store.list()
    artifact, sound = store.get(stage, key), Store(folder.parent / "sound").get(stage, key)
    assert artifact
    assert sound
    store.verify(artifact)
    same = (sound.digest, sound.recipe, sound.facts, sound.made)
    assert (artifact.digest, artifact.recipe, artifact.facts, artifact.made) == same


def _keras(folder: Path) -> list[Path]:
    from components.models.saving import write_model
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    write_model(keras.Sequential(layers), folder / "model.keras", ["a", "b", "c"])
    return [folder / "model.keras"]


def _read_keras(folder: Path) -> None:
    from components.models.saving import read_classes, read_model

    read_classes(folder / "model.keras")
    read_model(folder / "model.keras")


def _labels(suffix: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        from PIL import Image

        rng = np.random.default_rng(0)
        files = [f"{number}.png" for number in range(12)]
        for name in files:
            Image.fromarray(rng.integers(0, 256, (6, 6), np.uint8)).save(folder / name)
        labels, splits = [f"class {number % 3}" for number in range(12)], ["train", "train", "train", "test"] * 3
        table = folder / f"labels.{suffix}"
        if suffix == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.table({"file": files, "label": labels, "split": splits}), table)
        else:
            rows = [",".join(row) for row in zip(files, labels, splits, strict=True)]
            table.write_text("\n".join(["file,label,split", *rows]) + "\n")
        return [table]

    return write


def _corrections(folder: Path) -> list[Path]:
    from components.data import corrections

    file = folder / "digits.jsonl"
    for number in range(8):
        corrections.append(file, f"{number:064x}", "cat", "dog" if number % 3 else None, who="ann")
    corrections.undo(file, f"{3:064x}", who="ann")
    return [file]


def _read_corrections(folder: Path) -> None:
    from components.data.corrections import Corrections

    read = Corrections.read(folder / "digits.jsonl")
    read.require_classes(["cat", "dog"])
    assert read.digest is not None
    assert read.disagreeing is not None


def _promotions(folder: Path) -> list[Path]:
    from components.registry.promotion_log import Champion, append, promotion

    log, champion = folder / "promotions.jsonl", Champion.of(None)
    for number in range(1, 7):
        after = Champion(str(number), f"{number:064x}")
        append(log, promotion("digits", "promote", champion, after, "better", "ann@desk", {"images": 360}))
        champion = after
    return [log]


def _read_promotions(folder: Path) -> None:
    """Also fails where a changed line is taken for another one."""
    from components.registry import promotion_log

    promotions = promotion_log.read(folder / "promotions.jsonl")
    promotion_log.champion_history(promotions)
    sound = promotion_log.read(folder.parent / "sound" / "promotions.jsonl")
    assert all(promotion in sound for promotion in promotions)


TOML = (b"[train]", b"epochs = ", b"true", b"[[", b"inf", b"nan", b"1e999", b'"""', b"-1", b"1979-05-27", b"\\u0000")
JSON = (b"null", b"NaN", b"1e999", b"{", b"[", b'"', b"\\ud800", b"-1", b"[" * 2000, b"9" * 5000, b"true")
PNG = (b"IDAT", b"PLTE", b"tRNS", b"IEND", b"iCCP", b"zTXt", b"eXIf", b"acTL")
JPEG = (b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xe1", b"Exif\0\0")
TABLE = (b'"', b",", b"\t", b"\n", b"\r", b";", b"../", b"/etc/passwd", b"\xff\xfe", b"\0", b"train", b"validation")
TARGETS = {
    "IDX": Target(_idx(packed=False), _read_source),
    "IDX in gzip": Target(_idx(packed=True), _read_source),
    "PNG": Target(_picture("png", "RGB"), _read_picture, PNG),
    "grey PNG": Target(_picture("png", "L"), _read_picture, PNG),
    "JPEG": Target(_picture("jpg", "RGB"), _read_picture, JPEG),
    "settings": Target(_settings, _read_settings, TOML),
    "manifest": Target(_manifest, _read_manifest, JSON),
    "keras": Target(_keras, _read_keras, JSON),
    "labels in CSV": Target(_labels("csv"), _read_source, TABLE),
    "labels in Parquet": Target(_labels("parquet"), _read_source),
    "corrections": Target(_corrections, _read_corrections, JSON),
    "promotions": Target(_promotions, _read_promotions, JSON),
}
