"""Archives of images: read like the folder that was packed, and what no archive may hold."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import DataRejected, SourceError, StorageFailed
from components.ingest import select
from components.ingest.reading import unpacking
from components.ingest.reading.image_source import ImageSource
from components.ingest.sources import archive, folder
from components.settings.sections import Ingest
from tests.support.noise_pictures import png

KINDS = (".zip", ".tar", ".tar.gz", ".tgz")


FILES = {f"pets/{name}/{i}.png": png(10 * len(name) + i) for name in ("cat", "mouse") for i in range(6)}


def pack(path: Path, files: "dict[str, bytes]") -> Path:
    """An archive of *files*, of the kind that the name of *path* says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def opened(path: Path, cache: Path) -> ImageSource:
    return archive.read(Ingest(source=str(path)), cache)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_read_like_its_folder(tmp_path: Path, kind: str) -> None:
    """The same images, classes, notes and warnings; what is no image is reported, not unpacked."""
    extra = {"pets/README.md": b"x" * 999, "pets/cat/notes.txt": b"text", "__MACOSX/pets/cat/._0.png": b"junk"}
    for name, data in (FILES | extra).items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    expected = folder.read(Ingest(source=str(tmp_path / "folder")), tmp_path / "cache")
    path = pack(tmp_path / f"pets{kind}", FILES | extra)
    assert select.kind(str(path)) == "archive"
    source = opened(path, tmp_path / "cache")
    for one, other in zip(source.blocks, expected.blocks, strict=True):
        assert one[0] == other[0]
        assert (one[1] == other[1]).all()
        assert (one[2] == other[2]).all()
    assert (source.classes, source.files, source.warnings, source.notes) == (
        *(expected.classes, expected.files, expected.warnings, expected.notes),
    )
    assert source.origin == str(path)
    (unpacked,) = (tmp_path / "cache" / "unpacked").iterdir()
    assert (unpacked / "pets/README.md").read_bytes() == b""


def test_an_archive_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fingerprint needs no unpacking, and reading confirms it. Another content replaces what was unpacked."""
    path, cache = pack(tmp_path / "pets.zip", FILES), tmp_path / "cache"
    params = Ingest(source=str(path))
    assert archive.preview(params, cache) is None
    fingerprint = archive.fingerprint(params, cache)
    assert not (cache / "unpacked").exists()
    source = opened(path, cache)
    list(source.blocks)
    assert source.fingerprint() == fingerprint
    monkeypatch.setattr(unpacking, "_unpack", None)
    list(opened(path, cache).blocks)
    preview = archive.preview(params, cache)
    assert preview
    assert (preview.images, preview.classes) == (12, 2)
    monkeypatch.undo()
    pack(path, {name: data for name, data in FILES.items() if "5" not in name})
    assert archive.fingerprint(params, cache) != fingerprint
    assert opened(path, cache).images == 10
    assert len(list((cache / "unpacked").iterdir())) == 1


def test_a_table_of_labels_in_an_archive_is_read(tmp_path: Path) -> None:
    """As in a folder."""
    files = {f"images/{i}.png": png(i) for i in range(4)} | {"labels.csv": b"id,label\n0,a\n1,b\n2,a\n3,b\n"}
    assert opened(pack(tmp_path / "pets.tgz", files), tmp_path / "cache").classes == ["a", "b"]


def test_unusable_files_are_named_by_the_archive(tmp_path: Path) -> None:
    """Nobody knows the folder in the cache."""
    path = pack(tmp_path / "pets.zip", FILES | {"pets/cat/bad.png": b"text"})
    source = opened(path, tmp_path / "cache")
    assert sum(len(labels) for _, _, labels in source.blocks) == 12
    assert (source.origin, source.unusable) == (str(path), [("", "pets/cat/bad.png", "cat", "not an image")])


def test_an_archive_that_is_replaced_while_it_is_read_is_left_to_the_next_run(tmp_path: Path) -> None:
    """What was unpacked is read to its end, and is what the fingerprint said."""
    path = pack(tmp_path / "pets.zip", FILES)
    before = select.fingerprint(Ingest(source=str(path)), tmp_path / "cache")
    source = opened(path, tmp_path / "cache")
    next(blocks := source.blocks)
    pack(path, FILES | {"pets/cat/new.png": png(99)})
    list(blocks)
    assert source.fingerprint() == before != select.fingerprint(Ingest(source=str(path)), tmp_path / "cache")


def packed(name: str, *files: str) -> Callable[[Path], Path]:
    return lambda folder: pack(folder / name, dict.fromkeys(files, b"x"))


def tar_entry(kind: bytes, name: str = "pets/cat/link.png", target: str = "/etc/passwd") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = pack(folder / "bad.tar", FILES)
        with tarfile.open(path, "a") as tar:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
        return path

    return write


def zip_link(folder: Path) -> Path:
    path = pack(folder / "bad.zip", FILES)
    with zipfile.ZipFile(path, "a") as packed:
        entry = zipfile.ZipInfo("pets/cat/link.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, "/etc/passwd")
    return path


def zip_bomb(folder: Path) -> Path:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for i in range(3):
            packed.writestr(f"cat/{i}.bmp", bytes(10**6))
    return path


def tar_bomb(folder: Path) -> Path:
    return pack(folder / "bomb.tar.gz", {f"cat/{i}.bmp": bytes(10**6) for i in range(3)})


def header_bomb(folder: Path) -> Path:
    """A header of many bytes, which tarfile reads as a whole."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 10**6
    (folder / "bomb.tar.gz").write_bytes(gzip.compress(entry.tobuf() + bytes(10**6), 1))
    return folder / "bomb.tar.gz"


def cut(kind: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = pack(folder / f"cut{kind}", FILES)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return write


def damaged(folder: Path) -> Path:
    path = pack(folder / "bad.zip", FILES)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1
    path.write_bytes(data)
    return path


def encrypted(folder: Path) -> Path:
    path = pack(folder / "bad.zip", FILES)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    return path


def misplaced(folder: Path) -> Path:
    """A zip file whose directory says that its first file begins before the archive."""
    path = pack(folder / "bad.zip", FILES)
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = (int.from_bytes(data[end + 16 : end + 20], "little") + 100).to_bytes(4, "little")
    path.write_bytes(data)
    return path


def text(kind: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / f"x{kind}").write_text("this is text")
        return folder / f"x{kind}"

    return write


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "symlink": (tar_entry(tarfile.SYMTYPE), "the file 'pets/cat/link.png' is a link or a device"),
    "hard link": (tar_entry(tarfile.LNKTYPE), "is a link or a device"),
    "FIFO": (tar_entry(tarfile.FIFOTYPE), "is a link or a device"),
    "device": (tar_entry(tarfile.CHRTYPE), "is a link or a device"),
    "absolute name": (packed("x.tar", "/etc/x.png"), "'/etc/x.png' leads out of the archive"),
    "name out": (packed("x.tar.gz", "a/../../x.png"), "leads out of the archive"),
    "name out of a zip": (packed("x.zip", "../x.png"), "'../x.png' leads out of the archive"),
    "drive": (packed("x.zip", "C:\\x.png"), "'C:/x.png' leads out of the archive"),
    "link in a zip": (zip_link, "'pets/cat/link.png' is a link or a device"),
    "zip bomb": (zip_bomb, "a decompression bomb"),
    "tar bomb": (tar_bomb, "a decompression bomb"),
    "header bomb": (header_bomb, "a header is a decompression bomb"),
    "two of a name": (packed("x.tar", "a/x.png", "./a/x.png"), "holds 'x.png' twice, as a file or a folder; pack"),
    "file and folder": (packed("x.tar", "a.png", "a.png/b.png"), "holds 'a.png' twice"),
    "folder and file": (packed("x.tar", "a.png/b.png", "a.png"), "holds 'a.png' twice"),
    "cut zip": (cut(".zip"), "cannot be unpacked: File is not a zip file; pack it again"),
    "cut tar": (cut(".tar"), "cannot be unpacked: "),
    "cut tar.gz": (cut(".tar.gz"), "cannot be unpacked: "),
    "damaged zip": (damaged, "cannot be unpacked: Bad CRC-32"),
    "encrypted zip": (encrypted, "is encrypted, password required for extraction; unpack it yourself"),
    "text as zip": (text(".zip"), "cannot be unpacked: File is not a zip file"),
    "text as tar": (text(".tar"), "cannot be unpacked: "),
    "text as tar.gz": (text(".tar.gz"), "cannot be unpacked: "),
    "a name that is too long": (packed("x.tar", f"a/{'x' * 300}.png"), "it names a place or a file that cannot be"),
    "a directory out of place": (misplaced, "it names a place or a file that cannot be; pack it again"),
    "no class": (packed("x.zip", "README"), "x.zip, expected to hold FOLDER/CLASS/"),
}


@pytest.mark.parametrize("fault", BAD)
def test_no_archive_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """It is refused in a sentence, and nothing of it is left behind or written outside the cache."""
    monkeypatch.setattr(unpacking, "ALWAYS_FINE", 10**6)
    monkeypatch.setattr(unpacking, "BETWEEN_MEMBERS", 10**5)
    write, expected = BAD[fault]
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in")
    with pytest.raises(DataRejected) as caught:
        opened(path, tmp_path / "cache")
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name not in ("in", "cache")] == []
    assert fault == "no class" or list((tmp_path / "cache" / "unpacked").iterdir()) == []


def test_a_full_disk_is_noticed_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs need the rest."""
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 10**6, 10))
    with pytest.raises(StorageFailed, match="too few to unpack an archive"):
        opened(pack(tmp_path / "pets.zip", FILES), tmp_path / "cache")


@pytest.mark.parametrize("name", ["gone.zip", "folder", "x.rar"])
def test_what_is_no_archive_is_no_source(tmp_path: Path, name: str) -> None:
    """A file of another kind is answered with what is expected."""
    (tmp_path / "x.rar").touch()
    (tmp_path / "folder").mkdir()
    assert not archive.serves(str(tmp_path / name))
    if name == "x.rar":
        with pytest.raises(SourceError, match=r"x\.rar is a file; expected .* archive that exists \(\.zip, \.tar, "):
            select.kind(str(tmp_path / name))
