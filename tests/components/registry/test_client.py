"""The registry: read without MLflow, one sentence where it cannot be reached."""

import errno
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from components.errors import ConfigError, RegistryRefused, RegistryUnreachable, StorageFailed
from components.register.stage import register
from components.registry import database, model_files, readers, recorded_files, rest
from components.registry.client import Registry, answering, model_sha256
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.registry.readers import Unknown
from tests.components.conftest import Trained, new_run
from tests.support.mlflow_server import add_version, mlflow_server

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def filled(registry: Registry, tmp_path: Path) -> Registry:
    """Three versions of "m" (the second one deleted) with tags and aliases, and a model without versions."""
    client = registry.client
    client.create_registered_model("m")
    client.create_registered_model("it's empty")
    for number in "123":
        client.create_model_version("m", tmp_path.as_uri(), tags={MODEL_SHA256_TAG: f"d{number}", "accuracy": "0.99"})
    client.delete_model_version("m", "2")
    registry.set_alias("m", "challenger", "3")
    registry.set_alias("m", "champion", "3")
    return registry


def test_the_database_is_read_as_mlflow_itself_reads_it(filled: Registry) -> None:
    """Read directly or through MLflow's client, the versions, tags and aliases are the same."""
    versions = readers.versions(filled.uri, "m")  # raises Unknown where the installed MLflow lacks a column
    assert versions == filled.versions("m") == readers.by_client(filled.client, "m")
    assert [(v.version, v.aliases, v.model_sha256) for v in versions] == [
        ("1", (), "d1"),
        ("3", ("challenger", "champion"), "d3"),
    ]
    assert filled.names() == readers.names_by_client(filled.client) == ["it's empty", "m"]
    assert filled.versions("it's empty") == []
    assert filled.versions("unknown") == []
    assert readers.by_client(filled.client, "unknown") == []


def test_a_version_is_found_by_alias_number_and_model(filled: Registry) -> None:
    """Each way returns the version, or None where there is no such one."""
    three = filled.version("m", "3")
    assert isinstance(three, ModelVersion)
    assert three == filled.alias("m", "champion") == filled.with_model("m", "d3")
    assert filled.version("m", "2") is filled.alias("m", "other") is filled.with_model("m", "d2") is None


def test_reading_loads_neither_mlflow_nor_tensorflow(filled: Registry) -> None:
    """A run with nothing to do takes less than MLflow's import."""
    code = (
        "import sys; from components.registry.client import Registry; v = Registry(sys.argv[1]).alias('m', 'champion');"
        "print(v.version, [m for m in ('mlflow', 'tensorflow', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, filled.uri], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3 []\n"


def test_a_missing_database_has_no_versions(tmp_path: Path) -> None:
    """Before the first run there is no file, and reading does not create one."""
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db")
    assert registry.versions("m") == []
    assert registry.names() == []
    assert list(tmp_path.iterdir()) == []


def test_a_schema_without_the_columns_is_left_to_mlflow(filled: Registry) -> None:
    """Another revision is read directly as long as it has the columns that are read."""
    path = database.path_of(filled.uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of the future'")
    assert len(readers.versions(filled.uri, "m")) == 2
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE model_version_tags RENAME COLUMN value TO content")
    with pytest.raises(Unknown, match="table model_version_tags has no column value"):
        readers.versions(filled.uri, "m")


def test_a_snapshot_reads_once_until_something_is_written(filled: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the block the versions are read once, and again after a write; outside it, what changed is read."""
    reads: list[str] = []
    read = readers.versions

    def counted(uri: str, name: str) -> list[ModelVersion]:
        reads.append(name)
        return read(uri, name)

    monkeypatch.setattr(readers, "versions", counted)
    with filled.snapshot():
        assert filled.alias("m", "champion") == filled.version("m", "3") == filled.with_model("m", "d3")
        assert reads == ["m"]
        filled.set_alias("m", "champion", "1")
        champion = filled.alias("m", "champion")
        assert champion is not None
        assert champion.version == "1"
        assert reads == ["m", "m"]
    filled.versions("m")
    assert len(reads) == 2
    filled.set_tag("m", "1", "looked", "at")
    filled.versions("m")
    filled.versions("m")
    assert len(reads) == 3


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    """A damaged mlflow.db is named with what to do, for reads and writes alike."""
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(RegistryUnreachable, match=r"mlflow\.db cannot be used .*not a database.*make pipeline"):
        registry.versions("m")
    with pytest.raises(RegistryUnreachable, match="not a database"):
        registry.set_alias("m", "champion", "1")


@pytest.fixture
def closed() -> str:
    """The address of a port where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_an_unreachable_server_is_reported_at_once(closed: str) -> None:
    """Reads and writes both give up in seconds, not after the minutes of MLflow's retries."""
    start = time.monotonic()
    with pytest.raises(RegistryUnreachable, match=rf"MLflow at {closed} did not answer .*refused.*everything before"):
        Registry(closed).versions("m")
    with pytest.raises(RegistryUnreachable, match="refused"):
        Registry(closed).set_alias("m", "champion", "1")
    assert time.monotonic() - start < 10


def test_a_server_with_a_login_is_reported_without_it(closed: str) -> None:
    """The message has the cause, not the password."""
    with pytest.raises(RegistryUnreachable, match=r"http://\*\*\*@127.* did not answer .*refused") as raised:
        Registry(closed.replace("//", "//user:secret@")).versions("m")
    assert "secret" not in str(raised.value)


def test_a_server_that_never_responds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a response is an unreachable server as well."""
    monkeypatch.setattr(rest, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegistryUnreachable, match="timed out"):
            Registry(uri).versions("m")


def test_credentials_are_left_to_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment holds a login, MLflow's client is used, which knows how to log in."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    with pytest.raises(Unknown):
        readers.versions("http://127.0.0.1:9", "m")


@pytest.fixture
def server(tmp_path: Path, empty_database: Path) -> Iterator[str]:
    """The address of a real MLflow server on loopback."""
    with mlflow_server(tmp_path, empty_database) as address:
        yield address


def test_a_server_is_read_as_the_database_is(
    server: str, trained: Callable[[int], Trained], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real server a model is registered once, read by REST as MLflow reads it, and fetched whole, quietly."""
    registry, made = Registry(server), trained(0)
    args = (made.normalize, made.train, made.evaluate, registry, "m", lambda: new_run(registry), {"accuracy": "1.0"})
    assert register(*args) == {"name": "m", "version": "1", "aliases": ["challenger"], "made": True}
    assert register(*args)["made"] is False
    registry.set_alias("m", "champion", "1")
    assert registry.versions("m") == readers.by_client(registry.client, "m")
    assert registry.names() == ["m"]
    assert registry.versions("unknown") == []
    version = registry.alias("m", "champion")
    assert version is not None
    file = registry.model_file(version, tmp_path)
    assert file is not None
    assert file.read_bytes() == (made.train / "model.keras").read_bytes()
    assert version.model_sha256 == model_sha256(made.train)
    for way in ("read", "by client"):
        (tmp_path / way).mkdir()
        fetch = registry.fetch_files if way == "read" else registry._fetch_by_client
        folder = fetch(version, "", tmp_path / way)
        assert folder
        assert [*model_files.damages(version, folder), *model_files.added(version, folder)] == []
        assert len(recorded_files.files(folder)) == 9
    assert json.loads(json.dumps(version.tags))["accuracy"] == "1.0"
    registry.client.set_terminated(registry.client.get_model_version("m", "1").run_id)
    printed = capsys.readouterr()
    assert printed.out == ""  # no link to the run, which would spoil an answer in JSON
    assert "Downloading" not in printed.err


def test_a_tag_that_another_process_inserts_at_the_same_moment_is_replaced(
    filled: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the second row of the same key; the next request finds it and updates it."""
    insert, refused = filled.client.set_model_version_tag, list[tuple[str, ...]]()

    def beaten(*tag: str) -> None:
        insert(*tag)
        if not refused:
            refused.append(tag)
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: model_version_tags.key")

    monkeypatch.setattr(filled.client, "set_model_version_tag", beaten)
    filled.set_tag("m", "1", "export.key", "abc")
    version = filled.version("m", "1")
    assert version
    assert version.tags["export.key"] == "abc"
    assert refused


FETCH = """
import sys
from pathlib import Path
from components.registry.client import Registry
registry = Registry(sys.argv[1])
[version] = registry.versions("m")
copies = [registry.fetch_files(version, path, Path(sys.argv[2])) for path in ("exports", "data/a", "data/none", "no/e")]
assert not [name for name in sys.modules if name.startswith("mlflow")], "MLflow was loaded"
print([copy and str(copy.relative_to(sys.argv[2])) for copy in copies])
"""


@pytest.mark.parametrize("place", ["server", "folder"])
def test_files_are_fetched_without_mlflow_s_client(
    place: str, request: pytest.FixtureRequest, registry: Registry, tmp_path: Path
) -> None:
    """From its server, or a folder of this machine: a folder with all below it, a file, and what is not there."""
    files = {"a": b"1", "with space/ä.bin": bytes(range(256)) * 999, "with space/deeper/empty": b""}
    for name, content in files.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_bytes(content)
    used = Registry(request.getfixturevalue("server")) if place == "server" else registry
    used.create_model("m", "")
    if place == "server":
        assert add_version(used, "m").source.startswith("mlflow-artifacts:/")
    else:
        used.client.create_model_version("m", (tmp_path / "artifacts").as_uri())
    [version] = used.versions("m")
    used.log_files(version, tmp_path / "made", "exports")
    used.log_files(version, tmp_path / "made", "data")
    copies = tmp_path / "copies"
    copies.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FETCH, used.uri, str(copies)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['exports', 'a', None, None]"
    assert {n: (copies / "exports" / n).read_bytes() for n in files} == files
    assert (copies / "a").read_bytes() == b"1"


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes], str]]:
    """The address of a server whose only response is the given one."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:

        def serve(response: bytes) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(response)

        def start(response: bytes) -> str:
            thread.submit(serve, response)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.0 200 OK\r\n\r\n<html>Airflow</html>",
        b'HTTP/1.0 200 OK\r\n\r\n{"other": 1}',
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b'HTTP/1.0 200 OK\r\n\r\n{"registered_model": null}',
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_a_server_that_is_not_mlflow_is_reported(impostor: Callable[[bytes], str], response: bytes) -> None:
    """Whatever listens at the address, it is a sentence."""
    with pytest.raises(RegistryUnreachable, match="not a response of MLflow"):
        Registry(impostor(response)).versions("m")


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_login_that_is_not_accepted_is_reported(impostor: Callable[[bytes], str], status: str) -> None:
    """It is a wrong setting, no server that is away; the sentence names the variables of the login."""
    uri = impostor(f"HTTP/1.0 {status}\r\n\r\n".encode())
    with pytest.raises(ConfigError, match=r"does not accept this login \(HTTP status 40.*MLFLOW_TRACKING_USERNAME"):
        Registry(uri).versions("m")


def test_a_login_in_the_address_is_left_to_mlflow() -> None:
    """http://user:password@host: MLflow's client knows how to log in."""
    with pytest.raises(Unknown):
        readers.versions("http://ada:secret@127.0.0.1:9", "m")


def test_a_workspace_of_mlflow_is_left_to_mlflow(filled: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read directly is the default workspace."""
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    with pytest.raises(Unknown):
        readers.versions(filled.uri, "m")


def test_prompts_are_no_models(filled: Registry) -> None:
    """MLflow keeps prompts among the registered models; they are neither listed nor have versions."""
    filled.client.register_prompt("greeting", "Hello {{name}}")
    assert filled.names() == readers.names_by_client(filled.client) == ["it's empty", "m"]
    assert filled.versions("greeting") == []


def test_a_model_cannot_have_the_name_of_a_prompt(filled: Registry) -> None:
    """It is said before anything is trained, with the setting to change."""
    filled.client.register_prompt("greeting", "Hello {{name}}")
    filled.expect_usable("m", "experiment")
    with pytest.raises(ConfigError, match=r"greeting is a prompt in MLflow .*set register\.name"):
        filled.expect_usable("greeting", "experiment")


def test_a_deleted_experiment_is_reported(filled: Registry) -> None:
    """Its name stays taken in MLflow; restored, it is usable again."""
    number = filled.client.create_experiment("bars")
    filled.expect_usable("m", "bars")
    filled.client.delete_experiment(number)
    with pytest.raises(ConfigError, match=r"experiment bars is deleted.*restore it .*set register\.experiment"):
        filled.expect_usable("m", "bars")
    filled.client.restore_experiment(number)
    filled.expect_usable("m", "bars")


def test_what_mlflow_refuses_is_a_sentence(filled: Registry) -> None:
    """A version that somebody deleted between its look-up and its use: MLflow's own words, and where to look."""
    filled.client.delete_model_version("m", "1")
    acts: list[Callable[[], None]] = [
        lambda: filled.set_tag("m", "1", "key", "value"),
        lambda: filled.set_alias("m", "champion", "1"),
        lambda: filled.delete_version("m", "1"),
    ]
    for act in acts:
        with pytest.raises(RegistryRefused, match=r"refused: .*not found.*see what was changed there"):
            act()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk of .* is full; free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x"), "the disk of /data/x is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), r"cannot write to /data/x .*Permission denied"),
    ],
)
def test_a_full_or_read_only_disk_is_no_mlflow_that_is_away(error: OSError, sentence: str) -> None:
    """The disk is named, not a server that has to be started."""
    with pytest.raises(StorageFailed, match=sentence), answering("sqlite:////home/mlflow.db"):
        raise error


def test_a_database_that_cannot_grow_is_a_full_disk(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    """Also where SQLite noticed it, below SQLAlchemy and MLflow, which prints no traceback of its own."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def fill() -> None:
        for number in range(200):
            registry.create_model("m" * 200 + str(number), "d" * 4000)

    listener = (Engine, "before_cursor_execute", lambda _, cursor, *__: cursor.execute("PRAGMA max_page_count = 1"))
    event.listen(*listener)
    try:
        with pytest.raises(StorageFailed, match=r"the disk of .* is full; free some space"):
            fill()
    finally:
        event.remove(*listener)
    assert "Traceback" not in capfd.readouterr().err
