"""make: the targets that need no network, and how `make setup` chooses between uv and pip (with stand-ins for both)."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")

# A Python of another version, as far as the Makefile asks.
OTHER_VERSION = """#!{python}
import collections, sys
sys.version_info = collections.namedtuple("Version", "major minor")(*{version})
exec(sys.argv[2])
"""

# Notes how it was called, by which name.
NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >>"$CALLS"\n'

# `python -m venv FOLDER` copies itself there; installing uv.lock writes a uv there, which exits with UV_STATUS.
PYTHON = (
    NOTE
    + """case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"config get global.index-url") echo "$INDEX" ;;
  *"config get"*) exit 1 ;;
  *uv.lock) printf '%s\\nexit %s\\n' '#!/bin/sh
echo "venv/uv from $UV_DEFAULT_INDEX: $*" >>"$CALLS"' "$UV_STATUS" >"$(dirname "$0")/uv"
    chmod +x "$(dirname "$0")/uv" ;;
esac
"""
)


def program(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o755)
    return file


def setup(folder: Path, *, uv: bool, uv_status: int = 0) -> list[str]:
    """The programs that .ci/setup calls in a folder with the lock and nothing else."""
    shutil.copy(ROOT / "requirements.lock", folder)
    programs = folder / "programs"
    programs.mkdir()
    for name in ("basename", "dirname", "sed", "grep", "mkdir", "cp", "chmod", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    program(programs / "python3", PYTHON)
    if uv:
        program(programs / "uv", NOTE)
    environment = {
        "PATH": str(programs),
        "CALLS": str(folder / "calls"),
        "UV_STATUS": str(uv_status),
        "INDEX": "mirror",
    }
    done = subprocess.run(
        [ROOT / ".ci/setup", "python3", "venv"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines()


def test_help_lists_every_target() -> None:
    """Each with what it does."""
    listed = re.findall(
        r"^  make ([a-z-]+) ", subprocess.check_output(["make", "help"], cwd=ROOT, text=True), re.MULTILINE
    )
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\\n", " ").split()) == set(listed)


@pytest.mark.parametrize(
    ("version", "supported"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_a_python_that_is_not_supported_is_refused(tmp_path: Path, version: tuple[int, int], supported: bool) -> None:
    """In one sentence with what to call instead, before anything is installed."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".ci").mkdir()
    program(tmp_path / ".ci/setup", "#!/bin/sh\nmkdir .venv\n")
    python = program(tmp_path / "python", OTHER_VERSION.format(python=sys.executable, version=version))
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / ".venv/.ready").exists() == supported
    if not supported:
        said = f"Python {version[0]}.{version[1]} is not supported: call make PYTHON=python3.12 (3.11 to 3.13)"
        assert said in done.stderr


def test_setup_takes_the_uv_that_is_installed(tmp_path: Path) -> None:
    """It builds the folder and installs the lock, by hash and with bytecode; pip has no part in it."""
    assert setup(tmp_path, uv=True) == [
        f"uv venv --quiet --allow-existing --python {tmp_path}/programs/python3 venv",
        "uv --quiet pip install --python venv/bin/python --require-hashes --compile-bytecode -r requirements.lock",
    ]


def test_setup_installs_uv_where_it_is_missing(tmp_path: Path) -> None:
    """By hash, from the lock; it asks the index that pip is configured for."""
    venv, *_, last = calls = setup(tmp_path, uv=False)
    assert venv == "python3 -m venv venv"
    installed = [call for call in calls if " install " in call and call.startswith("python ")]
    assert len(installed) == 1
    assert installed[0].endswith("install --no-deps --only-binary uv --require-hashes -r venv/uv.lock")
    assert last.startswith("venv/uv from mirror: --quiet pip install --python venv/bin/python --require-hashes")
    locked = (tmp_path / "venv/uv.lock").read_text()
    assert re.fullmatch(r"uv==[\d.]+ \\\n(    --hash=sha256:\w{64}( \\)?\n)+", locked)


def test_setup_falls_back_to_pip(tmp_path: Path) -> None:
    """Where uv fails, pip installs the same lock by the same hashes."""
    assert setup(tmp_path, uv=False, uv_status=2)[-1].endswith(
        "install --require-hashes -r requirements.lock -c requirements.lock"
    )


NAMES = [
    "John's photos/set",
    "US$ notes",
    "~/animals",
    "a$(b",
    '#x y\\z "q" `id` ; ls',
    "café 猫",
]


@pytest.fixture
def called(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment whose Python writes its arguments and variables, a line each."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/.ready").touch()
    program(
        tmp_path / ".venv/bin/python",
        """#!/bin/sh
printf '%s\\n' "$@" "$PIPELINE_CONFIG" "$MNIST_DIR" "$PIPELINE_HOME"
""",
    )
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> list[str]:
    # without those of the make that runs the tests: it would print which folder it enters
    ours = ("PIPELINE_CONFIG", "MNIST_DIR", "KEY", "VERSION", "ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    variables = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder, env=variables | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_a_path_reaches_the_pipeline_as_it_was_typed(called: Path, name: str) -> None:
    """Quotes, spaces, dollar signs and what a shell would run: given to make, or in the environment."""
    expected = ["-m", "pipeline", "run", "--source", name, "--config", name, "", name, name]
    given = {"SOURCE": name, "CONFIG": name, "MNIST_DIR": name, "PIPELINE_HOME": name}
    assert make(called, "pipeline", *(f"{variable}={value}" for variable, value in given.items())) == expected
    assert make(called, "pipeline", **given) == expected
    assert make(called, "airflow", f"CONFIG={name}")[-3] == name
    assert make(called, "sign", f"KEY={name}", "VERSION=3")[:-3] == ["-m", "pipeline", "sign", "3", "--key", name]


def test_without_a_path_no_option_is_given(called: Path) -> None:
    """And the words of ARGS are words of the shell, as ever."""
    assert make(called, "pipeline", "ARGS=--set a='b c'")[:-3] == ["-m", "pipeline", "run", "--set", "a=b c"]


def test_the_help_of_coverage_names_the_floor() -> None:
    """That of pyproject.toml, in which the coverage of child processes counts."""
    coverage = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert coverage["run"]["patch"] == ["subprocess"]
    assert f"below {coverage['report']['fail_under']} % it fails" in (ROOT / "Makefile").read_text()


PYTEST = "-m pytest --numprocesses logical --maxprocesses 4"
COMPILE = (
    "uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "
    "make lock --python-version 3.11"
)
# What each target calls, without the words that the variables above it add; up and down need no .venv.
CALLS: dict[str, list[str]] = {
    "help": [],
    "setup": [],
    "pipeline": ["python -m pipeline run"],
    "review": ["python -m pipeline review"],
    "sign": ["python -m pipeline sign"],
    "quick": [f"python {PYTEST.replace('pytest', 'pytest -q')} --quick"],
    "test": [f"python {PYTEST}"],
    "test-python": [
        "uv python find 3.13",
        f"python {PYTEST} -m not airflow and not celery and not docker",
    ],
    "test-airflow": ["python -m pytest -m airflow"],
    "test-docker": ["python -m pytest -m docker tests/pipeline/compose"],
    "format": ["ruff check --quiet --fix .", "ruff format ."],
    "check": [
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "lint-imports",
        "deptry .",
        "deptry tests --exclude .venv|tests/serving/clients --ignore DEP002,DEP004",
        f"python {PYTEST}",
    ],
    "coverage": [f"python {PYTEST} --cov --cov-report=term"],
    "mutate": ["python -m tests.mutation"],
    "attack": ["python -m tests.faults --minutes 60"],
    "airflow": ["python -m pipeline.airflow --host 127.0.0.1 --port 8080 --mlflow-port 5000"],
    "airflow-shell": ["python -m pipeline.airflow.standalone.shell"],
    "airflow-service": [
        "python -m pipeline.airflow.standalone.service --host 127.0.0.1 --port 8080 --mlflow-port 5000"
    ],
    "up": ["python -m pipeline.compose up"],
    "down": ["python -m pipeline.compose down"],
    "serve": ["python -m serving"],
    "mlflow": ["python -m pipeline.mlflow_ui --host 127.0.0.1 --port 5000"],
    "tensorboard": [
        "python -c from pipeline.home import Home; print(Home.from_environment().root)",
        "tensorboard --logdir /tensorboard --host 127.0.0.1 --port 6006",
    ],
    "bench": ["python -m benchmarks"],
    "bench-training": ["python -m benchmarks.training"],
    "bench-serving": ["python -m benchmarks.serving"],
    "lock": [],
    "lock-images": [],
    "clean": [],
}


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment whose programs note in `calls` how they were called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in (".venv/bin", ".venv-3.13/bin", "tests/serving/clients", "tests/mutation"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("requirements.lock", ".venv/.ready", ".venv-3.13/.ready"):
        (tmp_path / name).touch()
    for name in ("python", "uv", "ruff", "mypy", "lint-imports", "deptry", "tensorboard"):
        program(tmp_path / ".venv/bin" / name, NOTE)
    program(tmp_path / ".venv-3.13/bin/python", NOTE)
    return tmp_path


@pytest.mark.parametrize("target", CALLS)
def test_every_target_calls_what_it_says(noted: Path, target: str) -> None:
    """With programs that only note how they were called; the modules and folders that they are given are there."""
    make(noted, target, CALLS=str(noted / "calls"))
    calls = (noted / "calls").read_text().replace(" \n", "\n").splitlines() if (noted / "calls").exists() else []
    if target == "clean":
        assert not (noted / ".venv").exists()
    elif target.startswith("lock"):
        assert len(calls) == {"lock": 7, "lock-images": 4}[target]
        assert all(call.startswith(COMPILE) for call in calls)
        named = re.findall(r"-o (\S+) (\S+)", "\n".join(calls))
        assert all((ROOT / source).exists() or (ROOT / "tests/mutation" / source).exists() for _, source in named)
    else:
        assert calls == CALLS[target]
    for call in calls:
        if module := re.match(r"python -m ([\w.]+)", call):
            assert find_spec(module[1]), call


# Finds the Python of a version once it has installed it; the program itself is a stand-in for both.
FINDS_WHAT_IT_INSTALLED = (
    NOTE
    + """case "$2" in
  install) touch installed ;;
  find) [ -e installed ] && echo "$PWD/.venv/bin/python" || exit 2 ;;
esac
"""
)


def test_another_python_is_installed_where_it_is_missing(noted: Path) -> None:
    """uv looks for one, installs one, and an environment beside .venv is built with it."""
    shutil.rmtree(noted / ".venv-3.13")
    (noted / ".ci").mkdir()
    program(noted / ".ci/setup", NOTE + 'mkdir -p "$2/bin" && cp .venv/bin/python "$2/bin"\n')
    program(noted / ".venv/bin/uv", FINDS_WHAT_IT_INSTALLED)
    make(noted, "test-python", "PYTHON_VERSION=3.12", CALLS=str(noted / "calls"))
    *uv, supported, setup, tests = (noted / "calls").read_text().splitlines()
    assert uv == ["uv python find 3.12", "uv python install 3.12", "uv python find 3.12"]
    assert supported.startswith("python -c import sys; v = sys.version_info")
    assert setup == f"setup {noted}/.venv/bin/python .venv-3.12 requirements.lock"
    assert tests.startswith("python -m pytest")
    assert (noted / ".venv-3.12/.ready").exists()


def test_there_is_a_test_of_every_target() -> None:
    """A new one has to be in the table above."""
    assert CALLS.keys() == set(re.findall(r"^([a-z-]+):.*? ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
