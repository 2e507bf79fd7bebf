"""The files of JSON that name the images of an artifact, and the hashes that go into them."""

import json
from array import array
from pathlib import Path

import pytest

from components.ingest.reading import source_files
from components.ingest.reading.content_hashes import DIGITS, ContentHashes, is_hash
from components.ingest.reading.source_files import hash_lines, path_lines, read_splits, write_files, write_hashes

HASHES = {name: f"{number:064x}" for number, name in enumerate(('b/"1".png', "b/é\n.png", "a/\udcff.png", "a/2.png"))}


def of_listing(hashes: dict[str, str]) -> ContentHashes:
    """The same hashes, of a listing in this order."""
    paths = list(hashes)
    listed = ContentHashes(paths, array("I", sorted(range(len(paths)), key=paths.__getitem__)))
    for index, path in enumerate(paths):
        if hashes[path]:
            listed.set(index, hashes[path])
    return listed


@pytest.mark.parametrize("files", [{"train": [*HASHES], "test": []}, {"test": ["a/2.png"], "train": ['b/"1".png']}])
@pytest.mark.parametrize("at_once", [1, source_files.AT_ONCE])
def test_the_files_are_those_of_the_whole_json(
    files: dict[str, list[str]], at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, whatever the names; a file that cannot be used is in none of them."""
    wanted = {path: HASHES[path] for paths in files.values() for path in paths}
    for hashes in (HASHES, of_listing(HASHES)):
        write_files(tmp_path / "files.json", files)
        write_hashes(tmp_path / "sha256.json", files, hashes)
        assert (tmp_path / "files.json").read_text() == json.dumps(files, indent=2, sort_keys=True) + "\n"
        assert (tmp_path / "sha256.json").read_text() == json.dumps(wanted, indent=2, sort_keys=True) + "\n"
    pairs = [(json.dumps(path).encode(), wanted[path]) for path in sorted(wanted)]
    monkeypatch.setattr(source_files, "AT_ONCE", at_once)
    found = [
        (path, digits[64 * i : 64 * i + 64].decode())
        for paths, digits in hash_lines(tmp_path / "sha256.json")
        for i, path in enumerate(paths)
    ]
    assert found == pairs
    assert read_splits(tmp_path / "files.json") == sorted(files)
    listed = [path for split in sorted(files) for path in files[split]]
    assert [json.loads(path) for paths in path_lines(tmp_path / "files.json") for path in paths] == listed


def test_no_file_is_an_empty_object(tmp_path: Path) -> None:
    """As `json.dumps` writes it."""
    write_hashes(tmp_path / "sha256.json", {"train": []}, HASHES)
    assert (tmp_path / "sha256.json").read_text() == "{}\n"


def test_a_hash_is_known_by_its_path_and_place() -> None:
    """Or why there is none; of a path that is not listed nothing is known."""
    hashes = of_listing({**HASHES, "z.png": "permission denied", "new.png": ""})
    assert dict(hashes) == dict(hashes.pairs()) == {**HASHES, "z.png": "permission denied", "new.png": ""}
    assert list(hashes) == sorted(hashes)
    assert hashes.at(1) == HASHES["b/é\n.png"]
    for path in ("0", "b/1", "zz"):
        assert path not in hashes


def test_what_is_known_of_a_file_can_change() -> None:
    """From the cache its hash is known; then it turns out that it cannot be read, and the other way round."""
    hashes = ContentHashes(["a", "b"], array("I", [0, 1]))
    hashes.set_all(array("I", [0, 1]), ["0a" * 32, "denied"])
    hashes.set_all(array("I", [0, 1]), ["denied", "1b" * 32])
    assert hashes.all_at(range(2)) == ["denied", "1b" * 32]
    assert hashes.digests(range(2)).hex() == "0" * DIGITS + "1b" * 32
    for nothing in ([None, "denied"], [None, "1b" * 32]):
        hashes.set_all(array("I", [0, 1]), ["denied", "denied"])
        hashes.set_all(array("I", [0, 1]), nothing)
        assert hashes.at(0) == ""
        hashes.set_all(array("I", [0, 1]), ["0a" * 32, "0a" * 32])
        hashes.set_all(array("I", [0, 1]), nothing)
        assert hashes.digests(range(1)) == bytes(32)


def test_a_reason_as_long_as_a_hash_is_none() -> None:
    """What a file cannot be read for may have 64 characters."""
    reason = "image file is truncated (12 bytes not processed), as PIL says it"
    assert len(reason) == DIGITS
    hashes = of_listing({"a.png": "0a" * 32, "b.png": reason})
    assert (hashes["a.png"], hashes["b.png"]) == ("0a" * 32, reason)


@pytest.mark.parametrize(
    "texts",
    [
        ["0a" * 32, "1b" * 32, "2c" * 32],
        ["0a" * 32, None, "2c" * 32],
        ["0a" * 32, "permission denied", "2c" * 32],
        ["0a" * 32, "image file is truncated (12 bytes not processed), as PIL says it", "2c" * 32],
        ["0a" * 16, "1b" * 48, "2c" * 32],
    ],
)
@pytest.mark.parametrize("indices", [[1, 2, 3], [3, 1, 2]])
def test_what_is_known_of_several_files_is_set_at_once(indices: list[int], texts: list[str | None]) -> None:
    """It is what setting that of one after the other sets."""
    paths, order = ["d", "b", "a", "c", "e"], array("I", [2, 1, 3, 0, 4])
    hashes, single = ContentHashes(paths, order), ContentHashes(paths, order)
    hashes.set_all(array("I", indices), texts)
    for index, text in zip(indices, texts, strict=True):
        if text is not None:
            single.set(index, text)
    expected = [single.at(index) for index in range(5)]
    assert hashes.all_at(range(5)) == expected
    assert hashes.all_at(range(1, 4)) == expected[1:4]
    assert dict(hashes.pairs()) == dict(single.pairs())
    assert hashes.digests(range(5)).hex() == "".join(text if is_hash(text) else "0" * DIGITS for text in expected)
