"""Whatever the tests start ends with the process that runs them, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import CLEAN, ROOT
from tests.support import ended_with_us
from tests.support.airflow_server import gone

# A test that starts three servers: a real one, a family whose daemon has a session of its own and ignores SIGTERM, and
# one with a folder outside pytest's.
TEST = """
import os, shlex, sys, tempfile, time
from pathlib import Path
from tests.support import ended_with_us, s3_server

DAEMON = '''
import os, signal, sys, tempfile, time
from pathlib import Path
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(sys.argv[1], "temporary").write_text(tempfile.mkdtemp())
        Path(sys.argv[1], "daemon").write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
'''

def test_that_hangs():
    folder = Path(os.environ["FOLDER"])
    data = Path(tempfile.mkdtemp(prefix="cluster-"))
    with s3_server.served():
        command = [sys.executable, "-c", DAEMON, str(folder)]
        ended_with_us.start(command, then=f"rm -rf {shlex.quote(str(data))}")
        while not (folder / "daemon").exists():
            time.sleep(0.05)
        (folder / "data").write_text(str(data))
        time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_interrupted_test_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """A real pytest is ended in the middle of a test: servers, daemons and temporary folders are gone soon after."""
    test = tmp_path / "test_that_hangs.py"
    test.write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(test)]
    environment = {**CLEAN, "FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT)}
    tests = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        data = Path(written(tmp_path / "data", tests))
        processes = psutil.Process(tests.pid).children(recursive=True)
        assert int((tmp_path / "daemon").read_text()) in [process.pid for process in processes]
        assert len(processes) == 5  # two supervisors, the server, the daemon and its starter
    finally:
        tests.send_signal(number)
        tests.wait(60)
    assert gone(processes, 30)
    assert not data.exists()
    assert not Path((tmp_path / "temporary").read_text()).exists()


def written(file: Path, tests: "subprocess.Popen[bytes]") -> str:
    """The text of *file*, as soon as the tests have written it."""
    while not (file.exists() and file.read_text()):
        assert tests.poll() is None, "the tests have ended"
    return file.read_text()


def test_the_supervisor_passes_on_signals_status_and_output() -> None:
    """What a test sees is what it would see of the command itself; a signal's number is added to 128, as by a shell."""
    script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    with ended_with_us.start(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.read() == "got it\n"
    assert process.returncode == 7
    assert ended_with_us.start(["sh", "-c", "kill -9 $$"]).wait(30) == 128 + signal.SIGKILL


def test_a_command_that_leaves_a_process_behind_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The process is killed and named, so that a test of a clean end fails."""
    process = ended_with_us.start(["sh", "-c", "setsid sleep 601 & exit 0"])
    assert process.wait(30) == ended_with_us.LEFT_BEHIND
    assert "left behind: sleep 601" in capfd.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
def test_a_server_can_run_as_another_user() -> None:
    """As PostgreSQL has to, where the tests run as root; its temporary folder belongs to it."""
    command = ["sh", "-c", 'touch "$TMPDIR/file" && id -un']
    with ended_with_us.start(command, user="nobody", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.read() == "nobody\n"
    assert process.returncode == 0
