"""A folder of images: which files are read, how they are decoded, and what is refused."""

import hashlib
import io
import os
import queue
import re
import struct
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from components.data.pictures import decode_workers, decoding
from components.errors import ConfigError, DataRejected, Unavailable
from components.ingest import select
from components.ingest.reading import image_files, image_source
from components.ingest.reading.image_source import ImageSource, Preview
from components.ingest.reading.unusable_files import NoUsableFile
from components.ingest.sources import folder
from components.settings.sections import Ingest
from components.system import files, stat_cache
from components.system.processes import Child

Read = dict[str, tuple[list[str], "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", list[str]]]


def save(path: Path, seed: int = 0, size: tuple[int, int] = (6, 5), mode: str = "L", **options: Any) -> Path:
    """An image of noise, (width, height) *size*, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), np.uint8)
    Image.frombytes(mode, size, pixels.tobytes()).save(path, **options)
    return path


def images_of(root: Path, count: int = 8, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """ROOT/CLASS/N.png."""
    for number, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", number * 1000 + i)
    return root


def cache_of(root: Path) -> Path:
    """A folder of its own beside *root*."""
    return root.with_name(f"{root.name}-cache")


def opened(root: Path, **settings: Any) -> tuple[ImageSource, list[Any]]:
    """The source, read to its end, and its blocks."""
    source = folder.read(Ingest(source=str(root), **settings), cache_of(root))
    return source, list(source.blocks)


def read(root: Path, **settings: Any) -> Read:
    """split -> (paths, images, class names), as ingest would get them."""
    source, blocks = opened(root, **settings)
    assert source.images == sum(len(labels) for _, _, labels in blocks)
    splits: Read = {}
    for split, paths in source.files.items():
        images = [images for name, images, _ in blocks if name == split]
        labels = [label for name, _, labels in blocks for label in labels if name == split]
        pixels = np.concatenate([np.empty((0, *source.shape), np.uint8), *images])
        splits[split] = (paths, pixels, [source.classes[label] for label in labels])
    return splits


def pixels_of(path: Path, **settings: Any) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """The pixels of the image at *path*, read with its whole folder."""
    for paths, images, _ in read(path.parents[1], **settings).values():
        if f"{path.parent.name}/{path.name}" in paths:
            pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = images[paths.index(f"cat/{path.name}")]
            return pixels
    raise AssertionError(f"{path} was not read")


def test_a_folder_with_its_own_split_keeps_it(tmp_path: Path) -> None:
    """FOLDER/train and FOLDER/test are the splits, each image in the class of its folder, in the order of the files."""
    for split, count in (("train", 4), ("test", 2)):
        images_of(tmp_path / split, count)
    splits = read(tmp_path)
    assert splits["train"][0] == [f"train/{name}/{i}.png" for name in ("cat", "dog") for i in range(4)]
    assert splits["test"][2] == ["cat", "cat", "dog", "dog"]
    with Image.open(tmp_path / "test" / "dog" / "1.png") as image:
        assert (splits["test"][1][3, :, :, 0] == np.asarray(image)).all()


def test_without_own_splits_the_content_decides(tmp_path: Path) -> None:
    """test_share of the images are in the test split, and new images or file names move no existing one."""
    images_of(tmp_path, 60)
    before = read(tmp_path, test_share=0.3)
    assert 28 <= len(before["test"][0]) <= 44  # of 120, by their hashes; the usual share gives about 18
    images_of(tmp_path, 80)
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "renamed.png")
    after = read(tmp_path, test_share=0.3)
    for split in before:
        old = {image.tobytes() for image in before[split][1]}
        assert old <= {image.tobytes() for image in after[split][1]}


def test_classes_called_by_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    """10 comes after 9 and before words."""
    names = ("9", "10", "ten", "1")
    assert folder.read(Ingest(source=str(images_of(tmp_path, 3, names))), cache_of(tmp_path)).classes == [
        "1",
        "9",
        "10",
        "ten",
    ]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """A folder train that holds images, not classes, is a class like any other."""
    assert folder.read(
        Ingest(source=str(images_of(tmp_path, 3, ("train", "test", "bus")))), cache_of(tmp_path)
    ).classes == [
        "bus",
        "test",
        "train",
    ]


def test_desktop_files_are_ignored_and_others_are_named(tmp_path: Path) -> None:
    """Hidden files and Thumbs.db do not count; other files in class folders are named in a warning."""
    images_of(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._0.png"):
        (tmp_path / "cat" / name).write_text("x")
    (tmp_path / "README").write_text("beside the class folders")
    source = folder.read(Ingest(source=str(tmp_path)), cache_of(tmp_path))
    assert source.images == 16
    (warning,) = source.warnings
    assert warning.endswith("left out: cat/notes.txt")


def test_suffixes_in_capitals_and_names_in_any_script_are_read(tmp_path: Path) -> None:
    """IMG.JPG, ß, 猫 and both encodings of é are all read."""
    for split, accent in (("train", "e\u0301"), ("test", "\u00e9")):
        for i, name in enumerate(("猫", f"chat{accent}")):
            save(tmp_path / split / name / "Größe 1.JPG", i, format="JPEG")
    splits = read(tmp_path)
    assert splits["train"][2] == splits["test"][2] == ["chat\u00e9", "猫"]


def test_every_image_mode_becomes_grey(tmp_path: Path) -> None:
    """16 bits are scaled, palettes resolved, and transparent pixels are white."""
    images_of(tmp_path)
    wide = np.array([[0, 257, 65535], [32896, 514, 0]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "cat" / "wide.png")
    clear = Image.new("RGBA", (3, 2), (0, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 0, 255))
    clear.save(tmp_path / "cat" / "clear.png")
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([0, 0, 0, 200, 200, 200])
    palette.save(tmp_path / "cat" / "palette.png")
    settings = {"image_size": 6, "channels": 1}
    assert pixels_of(tmp_path / "cat" / "palette.png", **settings).tolist() == np.full((6, 6, 1), 200).tolist()
    for name in ("0", "1", "2", "3", "4", "5", "6", "7"):
        for kind in ("cat", "dog"):
            save(tmp_path / kind / f"{name}.png", int(name), (3, 2))
    assert pixels_of(tmp_path / "cat" / "wide.png", channels=1)[..., 0].tolist() == [[0, 1, 255], [128, 2, 0]]
    assert pixels_of(tmp_path / "cat" / "clear.png", channels=1)[..., 0].tolist() == [[0, 255, 255], [255, 255, 255]]


def sixteen_bits(root: Path, scale: int, depth: str, count: int = 12) -> Path:
    """Two classes of PNG files of 16 bits that hold the values 0 to 255, times *scale*."""
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            values = np.random.default_rng(number * 100 + i).integers(0, 256, (5, 6)).astype(np.uint16) * scale
            values[0, 0] = 255 * scale
            Image.fromarray(values).save(root / name / f"{depth}{i}.png")
    return root


@pytest.mark.parametrize(("scale", "expected"), [(1, "255 of 65,535, as if they held 8"), (16, "4,080 .* held 12")])
def test_few_bits_in_a_file_of_16_are_told(tmp_path: Path, scale: int, expected: str) -> None:
    """Cameras and microscopes save 8 or 12 bits in 16, unscaled: the warning says by which factor to multiply them."""
    source = folder.read(Ingest(source=str(sixteen_bits(tmp_path, scale, ""))), cache_of(tmp_path))
    assert source.warnings == []
    list(source.blocks)
    (warning,) = source.warnings
    assert re.search(f"24 of 24 images of 16 bits .* value is {expected}-bit .* by {256 // scale}", warning)


def test_16_bits_of_full_range_are_no_warning(tmp_path: Path) -> None:
    """Nor are a few dark images among them."""
    root = sixteen_bits(tmp_path, 257, "full")
    Image.fromarray(np.full((5, 6), 99, np.uint16)).save(root / "cat" / "dark.png")
    source = folder.read(Ingest(source=str(root)), cache_of(root))
    list(source.blocks)
    assert source.warnings == []


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """A photograph stored on its side, with an EXIF orientation, is upright once read; so is its size."""
    upright = np.zeros((20, 10), np.uint8)
    upright[:10] = 255
    (tmp_path / "cat").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees: the camera was held on its side
    Image.fromarray(np.rot90(upright)).save(tmp_path / "cat" / "side.jpg", exif=exif, quality=100)
    for name in "abcdefgh":
        save(tmp_path / "cat" / f"{name}.png", ord(name), (10, 20))
        save(tmp_path / "dog" / f"{name}.png", -ord(name) + 999, (10, 20))
    pixels = pixels_of(tmp_path / "cat" / "side.jpg")[..., 0]
    assert pixels.shape == (20, 10)
    assert pixels[:8].min() > 200
    assert pixels[12:].max() < 50


def test_channels_are_those_of_the_images_unless_set(tmp_path: Path) -> None:
    """All grey: 1 channel. One in colour: 3. Set: as set."""
    images_of(tmp_path)
    assert folder.read(Ingest(source=str(tmp_path)), cache_of(tmp_path)).shape == (5, 6, 1)
    save(tmp_path / "cat" / "colour.png", 5, mode="RGB")
    assert folder.read(Ingest(source=str(tmp_path)), cache_of(tmp_path)).shape == (5, 6, 3)
    assert read(tmp_path, channels=1)["train"][1].shape[1:] == (5, 6, 1)
    with pytest.raises(ConfigError, match=r"ingest\.channels is 2; expected one of 0, 1, 3"):
        Ingest(channels=2)


def notes(root: Path, **settings: Any) -> list[str]:
    return folder.read(Ingest(source=str(root), **settings), cache_of(root)).notes


def test_images_of_different_sizes_are_read_at_one(tmp_path: Path) -> None:
    """The size is derived; a note says how many differ, the smallest, the largest, and what is done about it."""
    images_of(tmp_path)
    assert notes(tmp_path) == []
    save(tmp_path / "dog" / "large.png", 7, (60, 40))
    save(tmp_path / "dog" / "small.png", 8, (2, 3))
    assert read(tmp_path)["train"][1].shape[1:] == (5, 6, 1)
    (note,) = notes(tmp_path)
    assert note == (
        "2 of 18 images are not 6 x 5: the smallest is 2 x 3, the largest 60 x 40. They are read as 6 x 5 pixels "
        "(chosen for the median aspect ratio; ingest.image_size sets it); edge pixels are repeated around images of "
        "other proportions (ingest.fit=crop or stretch changes that)"
    )


def test_images_of_many_sizes_have_no_usual_one(tmp_path: Path) -> None:
    """The note says how many sizes there are."""
    for i in range(1, 9):
        save(tmp_path / "ab"[i % 2] / f"{i}.png", i, (8 + i, 4 + i))
    (note,) = notes(tmp_path)
    assert note.startswith("the 8 images have 8 sizes, from 9 x 5 to 16 x 12. They are read as ")


def test_a_size_that_is_set_is_a_square(tmp_path: Path) -> None:
    """The note says so, and how images of other proportions are fitted."""
    images_of(tmp_path)
    assert read(tmp_path, image_size=6)["train"][1].shape[1:] == (6, 6, 1)
    (note,) = notes(tmp_path, image_size=6, fit="crop")
    assert note == (
        "all 16 images are 6 x 5. They are read as 6 x 6 pixels (ingest.image_size); images of other proportions are "
        "cropped to their centre (ingest.fit=pad or stretch changes that)"
    )
    assert "proportions" not in notes(tmp_path, image_size=6, fit="stretch")[0].partition(";")[0]
    with pytest.raises(ConfigError, match=r"ingest\.fit is 'squash'; expected one of pad, crop, stretch"):
        Ingest(fit="squash")


def test_several_pages_and_frames_are_a_note(tmp_path: Path) -> None:
    """The first is read."""
    images_of(tmp_path)
    pages = [Image.new("L", (6, 5), grey) for grey in (9, 99)]
    pages[0].save(tmp_path / "cat" / "pages.tif", save_all=True, append_images=pages[1:])
    assert notes(tmp_path) == ["1 image has several pages or frames, of which the first is read: cat/pages.tif"]
    assert (pixels_of(tmp_path / "cat" / "pages.tif") == 9).all()


def test_a_large_photograph_shrinks_to_its_mean(tmp_path: Path) -> None:
    """Downscaling averages: fine noise becomes uniform grey, not a sample of its pixels."""
    images_of(tmp_path)
    save(tmp_path / "cat" / "large.jpg", 7, (800, 600), quality=95)
    assert abs(pixels_of(tmp_path / "cat" / "large.jpg", image_size=8).astype(int) - 127).max() < 12


def test_a_preview_is_what_reading_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From headers alone, and those of unchanged files are read once."""
    images_of(tmp_path / "pets", 10)
    save(tmp_path / "pets" / "cat" / "large.png", 7, (60, 40), "RGB")
    for path in (tmp_path / "pets").glob("*/*"):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -(10**12))
    params, cache = Ingest(source=str(tmp_path / "pets"), test_share=0.2), tmp_path / "cache"
    preview = folder.preview(params, cache)
    assert preview == Preview(images=21, train=17, validation=0, test=4, classes=2, shape=(5, 6, 3))
    assert preview.shape == folder.read(params, cache).shape
    monkeypatch.setattr(decode_workers, "_do", None)
    assert select.preview(params, cache) == preview
    assert folder.preview(replace(params, image_size=8, channels=1), cache).shape == (8, 8, 1)
    assert select.preview(Ingest(source="digits"), cache) is None


def test_only_what_can_be_read_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one version of a library cannot read, another one may."""
    images_of(tmp_path / "pets", 3)
    (tmp_path / "pets" / "cat" / "bad.png").write_bytes(b"text")
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -(10**12))
    surveyed: list[str] = []
    survey = decoding.survey

    def watched(paths: Sequence[str]) -> decoding.Surveyed:
        surveyed.extend(Path(path).name for path in paths)
        return survey(paths)

    monkeypatch.setattr(decoding, "survey", watched)
    for expected in (7, 1):
        surveyed.clear()
        assert folder.preview(Ingest(source=str(tmp_path / "pets")), tmp_path / "cache").images == 6
        assert len(surveyed) == expected
    assert surveyed == ["bad.png"]


def test_a_preview_counts_the_splits_of_the_folder(tmp_path: Path) -> None:
    """Validation is apart from training."""
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        images_of(tmp_path / "pets" / split, count)
    preview = folder.preview(Ingest(source=str(tmp_path / "pets")), tmp_path / "cache")
    assert (preview.images, preview.train, preview.validation, preview.test) == (18, 8, 4, 6)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A grey PNG whose header says these sides, whatever it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


BAD = {
    "not an image": (b"this is text", "not an image"),
    "empty": (b"", "empty"),
    "truncated": (png(6, 5, bytes(35))[:45], "image file is truncated"),
    "damaged": (png(6, 5, bytes(35)).replace(b"IDAT\x78", b"IDAT\x79"), "broken data stream"),
    "another format": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "a GIF image"),
    "photograph of a telephone": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a HEIC or AVIF image, or a video"),
    "page of an error": (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
    "decompression bomb": (png(10_000, 10_001), "10,000 x 10,001 pixels; expected at most 100,000,000"),
    "decompression bomb that Pillow refuses": (png(50_000, 50_000), "too many pixels; expected at most 100,000,000"),
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("job_files", [1, 256], ids=["in child processes", "in this process"])
def test_an_invalid_image_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, job_files: int
) -> None:
    """Whatever is wrong with a file, it is named with the reason, also where a child process reads it.

    The other images are read, and the source is what it was when its fingerprint was taken.
    """
    monkeypatch.setattr(image_files, "JOB_FILES", job_files)
    data, expected = BAD[fault]
    images_of(tmp_path, 4)
    (tmp_path / "dog" / "bad.png").write_bytes(data)
    source, others = opened(tmp_path)
    (unusable,) = source.unusable
    assert (unusable.split, unusable.path, unusable.name) == ("", "dog/bad.png", "dog")
    assert unusable.reason.startswith(expected)
    assert "\n" not in unusable.reason
    assert sorted(path for paths in source.files.values() for path in paths) == [
        f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)
    ]
    assert sum(len(labels) for _, _, labels in others) == 8
    assert source.fingerprint() == folder.fingerprint(Ingest(source=str(tmp_path)), cache_of(tmp_path))


def test_a_file_that_must_not_be_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file of another user is no reason to stop: it has a reason instead of a hash."""
    images_of(tmp_path, 4)
    closed = str(tmp_path / "dog" / "3.png")

    open_regular = files.open_regular

    def refused(path: "str | os.PathLike[str]") -> io.BufferedReader:
        if os.fspath(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return open_regular(path)

    for module in (decoding, files):
        monkeypatch.setattr(module, "open_regular", refused)
    source, _ = opened(tmp_path)
    assert source.unusable == [("", "dog/3.png", "dog", "permission denied")]
    assert source.fingerprint() == folder.fingerprint(Ingest(source=str(tmp_path)), cache_of(tmp_path))


def test_a_folder_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    """Nothing says which size its images have."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"<html>")
    with pytest.raises(NoUsableFile, match=r"2 of 2 files in .* cannot be used: cat/1\.png \(a web page\), ") as caught:
        read(tmp_path)
    assert [file.path for file in caught.value.files] == ["cat/1.png", "dog/1.png"]


def test_all_unusable_files_are_left_out(tmp_path: Path) -> None:
    """By their size, their headers and their data alike."""
    images_of(tmp_path, 4)
    bad = [*(tmp_path / name / f"{i}.jpg" for name in ("cat", "dog") for i in range(3)), tmp_path / "dog" / "huge.png"]
    for number, path in enumerate(bad):
        path.write_bytes((b"text", png(6, 5, bytes(35))[:45], png(20_000, 20_000))[number % 3])
    os.truncate(bad[-1], 2**30)
    source, _ = opened(tmp_path)
    assert sorted(file.path for file in source.unusable) == sorted(str(path.relative_to(tmp_path)) for path in bad)
    assert ("", "dog/1.jpg", "dog", "image file is truncated") in source.unusable
    assert ("", "dog/huge.png", "dog", "1,073,741,824 bytes; expected at most 536,870,912") in source.unusable


def test_images_that_arrive_while_labelled_ones_are_read_are_left_out(tmp_path: Path) -> None:
    """As with class folders, the source stays what it was when it was opened."""
    images = images_of(tmp_path / "pets" / "images", 4, ("all",)) / "all"
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(4)]
    (tmp_path / "pets" / "labels.csv").write_text("\n".join(["file,label", *rows]))
    params = Ingest(source=str(tmp_path / "pets"))
    before = folder.fingerprint(params, tmp_path / "cache")
    source = folder.read(params, tmp_path / "cache")
    save(images / "new.png")
    assert sum(len(labels) for _, _, labels in source.blocks) == 4
    assert source.fingerprint() == before != folder.fingerprint(params, tmp_path / "cache")


def test_a_file_too_large_to_be_hashed_is_no_other_folder(tmp_path: Path) -> None:
    """A folder to which such a file is added must not be taken for the one that was read before."""
    params = Ingest(source=str(images_of(tmp_path / "pets", 3)))
    before = folder.fingerprint(params, tmp_path / "cache")
    (tmp_path / "pets" / "cat" / "huge.png").touch()
    os.truncate(tmp_path / "pets" / "cat" / "huge.png", 2**30)
    assert folder.fingerprint(params, tmp_path / "cache") != before


def empty_class(root: Path) -> None:
    (root / "bird").mkdir()
    (root / "bird" / "notes.txt").write_text("not an image")


def one_class(root: Path) -> None:
    for path in [*(root / "dog").iterdir()]:
        path.unlink()
    (root / "dog").rmdir()


def no_class(root: Path) -> None:
    for path in [*root.glob("*/*")]:
        path.unlink()
    for path in [*root.iterdir()]:
        path.rmdir()


def no_test(root: Path) -> None:
    images_of(root / "train")


def class_not_tested(root: Path) -> None:
    images_of(root / "train")
    images_of(root / "test", classes=("cat",))


def link_out(root: Path) -> None:
    outside = save(root.parent / "outside" / "secret.png")
    (root / "cat" / "link.png").symlink_to(outside)


def class_link_out(root: Path) -> None:
    save(root.parent / "outside" / "secret.png")
    (root / "bird").symlink_to(root.parent / "outside")


FOLDERS = {
    empty_class: r"class folder .*bird holds no image",
    one_class: r"has only one class \('cat'\)",
    no_class: r"has no class;",
    no_test: r"has a folder train but no folder test with classes in it",
    class_not_tested: r"test has no class folder 'dog'",
    link_out: r"cat/link\.png is a link out of",
    class_link_out: r"bird is a link out of",
}


@pytest.mark.parametrize("damage", FOLDERS, ids=lambda damage: damage.__name__)
def test_an_unusable_folder_is_refused(tmp_path: Path, damage: Any) -> None:
    """One line says what is wrong with the folder, as soon as its fingerprint is computed."""
    root = images_of(tmp_path / "root", 3)
    damage(root)
    with pytest.raises(DataRejected, match=FOLDERS[damage]) as caught:
        folder.fingerprint(Ingest(source=str(root)), tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """A link to another image of the same folder is that image."""
    images_of(tmp_path)
    (tmp_path / "dog" / "again.png").symlink_to("0.png")
    assert folder.read(Ingest(source=str(tmp_path)), cache_of(tmp_path)).images == 17


def test_the_fingerprint_is_the_content_and_the_name(tmp_path: Path) -> None:
    """A copy has the same fingerprint; other pixels, another class or another folder name have not."""

    def fingerprint(root: Path) -> str:
        return folder.fingerprint(Ingest(source=str(root)), tmp_path / "cache")

    first = images_of(tmp_path / "one" / "pets", 3)
    copy = images_of(tmp_path / "two" / "pets", 3)
    before = fingerprint(first)
    assert fingerprint(copy) == before
    assert fingerprint(images_of(tmp_path / "others", 3)) != before
    save(copy / "cat" / "0.png", 99)
    assert fingerprint(copy) != before
    (first / "cat" / "0.png").rename(first / "dog" / "00.png")
    assert fingerprint(first) != before


def test_a_fingerprint_is_that_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are hashed at once; each path is separated from its hash, and from the next path."""
    params = Ingest(source=str(images_of(tmp_path / "pets")))
    files = sorted(path for path in (tmp_path / "pets").rglob("*.png"))
    lines = [
        f"{path.relative_to(tmp_path / 'pets')}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files
    ]
    expected = "sha256:" + hashlib.sha256("".join(["pets\n", *lines]).encode()).hexdigest()
    for at_once in (1, 3, 1000):
        monkeypatch.setattr(image_source, "AT_ONCE", at_once)
        assert folder.fingerprint(params, tmp_path / f"cache {at_once}") == expected


def test_reading_confirms_the_fingerprint(tmp_path: Path) -> None:
    """Reading hashes the bytes that it decodes: the same fingerprint, unless a file changed in between."""
    params = Ingest(source=str(images_of(tmp_path / "pets")))
    expected = folder.fingerprint(params, tmp_path / "cache")
    source = folder.read(params, tmp_path / "cache")
    list(source.blocks)
    assert source.fingerprint() == expected
    source = folder.read(params, tmp_path / "cache")
    save(tmp_path / "pets" / "dog" / "7.png", 99)
    list(source.blocks)
    assert source.fingerprint() != expected


def test_child_processes_read_the_same_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded by several processes, images come in the same order with the same pixels."""
    images_of(tmp_path, 20)
    alone = read(tmp_path)
    monkeypatch.setattr(image_files, "JOB_FILES", 3)
    monkeypatch.setattr(image_files, "cores", lambda: 3)
    spread = read(tmp_path)
    for split in alone:
        assert alone[split][0] == spread[split][0]
        assert (alone[split][1] == spread[split][1]).all()


def test_decoding_says_how_much_memory_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file, and the pixels of the largest image of a job, three times."""
    needed: list[int] = []
    work = decode_workers.work

    def watched(jobs: Iterable[decode_workers.Job], processes: int) -> Iterator[decode_workers.Result]:
        listed = list(jobs)
        needed.extend(job.memory for job in listed)
        return work(listed, processes)

    monkeypatch.setattr(decode_workers, "work", watched)
    images_of(tmp_path, 3)
    (tmp_path / "cat" / "large.png").write_bytes(png(500, 500, bytes(501 * 500)))
    size = (tmp_path / "cat" / "large.png").stat().st_size
    read(tmp_path, image_size=4)
    assert needed == [0, size + 12 * 500 * 500]


def test_large_images_are_decoded_one_at_a_time() -> None:
    """All processes share a bound of memory; what needs more than all of it is alone."""
    memory, done, held = decode_workers.Memory(100), queue.SimpleQueue[str](), threading.Event()

    def work(name: str, needed: int) -> threading.Thread:
        def run() -> None:
            with memory.reserved(needed):
                done.put(name)
                held.wait(10)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    first, second = work("small", 40), work("also small", 60)
    assert {done.get(timeout=10), done.get(timeout=10)} == {"small", "also small"}
    third = work("larger than all", 1_000)
    with pytest.raises(queue.Empty):
        done.get(timeout=0.05)
    held.set()
    assert done.get(timeout=10) == "larger than all"
    for thread in (first, second, third):
        thread.join(10)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The processes that the test starts to decode images."""
    started: list[Child] = []

    def recorded(module: str) -> Child:
        started.append(Child(module))
        return started[-1]

    monkeypatch.setattr("components.system.processes.Child", recorded)
    return started


def test_a_worker_that_dies_is_an_error(tmp_path: Path, children: list[Child]) -> None:
    """A process killed for lack of memory ends the run with a message instead of blocking it."""
    paths = [str(save(tmp_path / f"{i}.png", i)) for i in range(40)]
    results = decode_workers.work([decode_workers.Job([path], (5, 6, 1)) for path in paths], 2)
    next(results)
    for child in children:
        child._process.kill()
    with pytest.raises(Unavailable, match="was killed by signal 9, most likely for lack of memory"):
        list(results)


def test_workers_end_when_their_results_are_not_wanted(tmp_path: Path, children: list[Child]) -> None:
    """Stopping half-way, by Ctrl-C or an error, leaves no process behind."""
    paths = [str(save(tmp_path / f"{i}.png", i)) for i in range(20)]
    results = decode_workers.work([decode_workers.Job([path], (5, 6, 1)) for path in paths], 2)
    next(results)
    cast("Generator[decode_workers.Result]", results).close()
    assert [child._process.poll() for child in children] == [-9, -9]
