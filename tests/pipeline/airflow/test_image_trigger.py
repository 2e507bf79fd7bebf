"""The trigger of the images: when it emits an event, and when it does not."""

import asyncio
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components.data.corrections import append
from components.ingest.reading import activity
from components.settings.sections import Ingest
from components.system.files import sha256_of_file
from pipeline.airflow import image_trigger
from pipeline.airflow.image_trigger import ImagesTrigger, Payload
from pipeline.corrections import file_of
from pipeline.home import Home
from tests.components.ingest.sources.test_s3 import put
from tests.support.noise_pictures import png, write_classes


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_trigger, "SECONDS_OF_QUIET", 0.0)
    monkeypatch.setattr(image_trigger, "SHARE", 1e9)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of images, which the settings file names."""
    pictures = write_classes(tmp_path / "pictures", 8)
    (tmp_path / "settings.toml").write_text(f'[ingest]\nsource = "{pictures}"\n')
    monkeypatch.setenv("PIPELINE_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    return pictures


def add(pictures: Path, name: str = "new") -> None:
    (pictures / "cats" / f"{name}.png").write_bytes(png(99))


async def events(trigger: ImagesTrigger, count: int) -> list[Payload]:
    """The next events; the trigger goes on until it has remembered the last of them."""
    running, found = trigger.run(), list[Payload]()
    async for event in running:
        found.append(event.payload)
        if len(found) == count:
            break
    waiting = asyncio.ensure_future(anext(running))
    while trigger._remembered() != found[-1]["fingerprint"]:
        await asyncio.sleep(0)
    waiting.cancel()
    return found


def looks(trigger: ImagesTrigger, count: int) -> list[Payload]:
    return [payload for _ in range(count) if (payload := trigger.look())]


@pytest.fixture
def seen(pictures: Path) -> Path:
    """The pictures after an event of them."""
    assert asyncio.run(asyncio.wait_for(events(ImagesTrigger(seconds=0), 1), 60))
    return pictures


def test_the_first_images_and_new_ones_are_events(pictures: Path) -> None:
    """With the source and what identifies its images."""
    trigger = ImagesTrigger(seconds=0)
    [first] = asyncio.run(asyncio.wait_for(events(trigger, 1), 60))
    add(pictures)
    [second] = asyncio.run(asyncio.wait_for(events(trigger, 1), 60))
    assert first["source"] == second["source"] == str(pictures)
    assert first["fingerprint"] != second["fingerprint"]


def test_images_that_are_still_being_copied_are_no_event(pictures: Path) -> None:
    """Two looks must agree, and the second one is the event."""
    trigger = ImagesTrigger()
    for number in range(4):
        add(pictures, f"arriving{number}")
        assert trigger.look() is None
    assert trigger.look()
    assert looks(trigger, 3) == []


def test_a_restart_neither_loses_nor_repeats_an_event(seen: Path) -> None:
    """What came while no triggerer ran is new; what was reported before is not."""
    assert looks(ImagesTrigger(), 4) == []
    add(seen)
    assert len(looks(ImagesTrigger(), 4)) == 1


def test_an_event_that_was_not_stored_is_repeated(seen: Path) -> None:
    """The triggerer was killed right after the trigger had emitted it: a run too many reuses everything."""
    add(seen)
    [lost] = looks(ImagesTrigger(), 2)
    assert looks(ImagesTrigger(), 2) == [lost]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "cats" / "00.png"),
        lambda root: (root / "notes.txt").write_text("no image"),
        lambda root: (root / ".sync.png").write_bytes(b"of a program"),
    ],
    ids=["touched", "another file", "hidden"],
)
def test_what_is_no_other_image_is_no_event(seen: Path, change: Callable[[Path], object]) -> None:
    """Only other contents are."""
    change(seen)
    assert looks(ImagesTrigger(), 4) == []


def test_each_settings_file_has_its_own_events(seen: Path, tmp_path: Path) -> None:
    """Two models may learn from the same images."""
    other = tmp_path / "other.toml"
    other.write_text(f'[ingest]\nsource = "{seen}"\n')
    assert len(looks(ImagesTrigger(str(other)), 2)) == 1


def zipped(archive: Path, pictures: Path) -> None:
    """Pack the *pictures* and put the archive in its place at once, as `mv` does."""
    draft = archive.with_suffix(".part")
    with zipfile.ZipFile(draft, "w") as packed:
        for file in sorted(pictures.rglob("*.png")):
            packed.write(file, file.relative_to(pictures))
    draft.replace(archive)


def test_an_archive_that_is_replaced_is_an_event(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so one that is written again with the same contents."""
    archive = tmp_path / "pictures.zip"
    monkeypatch.setenv("PIPELINE_INGEST_SOURCE", str(archive))
    zipped(archive, pictures)
    trigger = ImagesTrigger(seconds=0)
    [first] = asyncio.run(asyncio.wait_for(events(trigger, 1), 60))
    zipped(archive, pictures)
    assert looks(trigger, 3) == []
    add(pictures)
    zipped(archive, pictures)
    [second] = looks(trigger, 3)
    assert first["source"] == second["source"] == str(archive)
    assert first["fingerprint"] != second["fingerprint"]


def test_an_object_that_is_added_to_a_bucket_is_an_event(
    prefix: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so one that is written again with the same contents, or that is no image."""
    monkeypatch.setenv("PIPELINE_INGEST_SOURCE", f"{prefix}/pets")
    objects = {f"pets/{name}/{number}.png": png(number) for name in ("cats", "dogs") for number in range(3)}
    put(prefix, objects)
    trigger = ImagesTrigger(seconds=0)
    [first] = asyncio.run(asyncio.wait_for(events(trigger, 1), 60))
    put(prefix, {"pets/cats/0.png": png(0), "pets/notes.txt": b"no image"})
    assert looks(trigger, 3) == []
    put(prefix, {"pets/cats/new.png": png(99)})
    [second] = looks(trigger, 3)
    assert first["source"] == second["source"] == f"{prefix}/pets"
    assert first["fingerprint"] != second["fingerprint"]


def test_published_data_are_not_watched(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the settings name other images than a folder, the old trigger may still run."""
    monkeypatch.setenv("PIPELINE_INGEST_SOURCE", "digits")
    assert looks(ImagesTrigger(), 3) == []


def test_what_prevents_a_look_is_said_once(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is not there yet ends nothing: it is an event as soon as it is."""
    aside = pictures.rename(pictures.with_name("aside"))
    trigger = ImagesTrigger()
    assert [trigger._tried() for _ in range(3)] == [None] * 3
    [message] = [record.message for record in caplog.records]
    assert message.startswith(f"the images cannot be watched: there is no folder {pictures}")
    aside.rename(pictures)
    assert [bool(trigger._tried()) for _ in range(3)] == [False, True, False]


def test_links_that_lead_round_in_a_circle_end(tmp_path: Path) -> None:
    """And folders that are linked are looked into."""
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "images" / "cats" / "again").symlink_to(tmp_path / "images")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images" / "dogs").symlink_to(tmp_path / "elsewhere")
    before = activity.stamp_of([tmp_path / "images"], tmp_path / "home")
    (tmp_path / "elsewhere" / "1.png").write_bytes(b"1")
    assert activity.stamp_of([tmp_path / "images"], tmp_path / "home") != before


def test_the_workspace_among_the_images_is_not_watched(tmp_path: Path) -> None:
    """Its pictures change with each run."""
    (tmp_path / "home" / "cache").mkdir(parents=True)
    before = activity.stamp_of([tmp_path], tmp_path / "home")
    (tmp_path / "home" / "cache" / "figure.png").write_bytes(b"1")
    assert activity.stamp_of([tmp_path], tmp_path / "home") == before


def test_the_trigger_is_restored_from_what_airflow_keeps() -> None:
    """Its class by name, and what it was made with."""
    name, arguments = ImagesTrigger("receipts.toml", 3.0).serialize()
    assert name == f"{ImagesTrigger.__module__}.{ImagesTrigger.__name__}"
    assert ImagesTrigger(**arguments).serialize() == (name, arguments)


def test_a_correction_of_a_label_is_an_event_like_a_new_image(seen: Path, tmp_path: Path) -> None:
    """A decision that changes nothing, to keep a label, is none."""
    corrections = file_of(Ingest(source=str(seen)), Home(tmp_path / "home"))
    assert corrections
    image = seen / "cats" / "00.png"
    trigger = ImagesTrigger()
    append(corrections, sha256_of_file(image), "cats", "cats")
    assert looks(trigger, 4) == []
    append(corrections, sha256_of_file(image), "cats", "dogs")
    [event] = looks(trigger, 4)
    assert event["source"] == str(seen)
    assert looks(trigger, 2) == []
