"""The DAG files of a folder of settings files. Needs no Airflow: the checks before a start use it too."""

from pathlib import Path

from components.errors import ConfigError
from components.system.files import write_atomically
from pipeline import config

DAG_FILE = '''\
"""The DAGs of one settings file."""

from pipeline.airflow import retraining

retraining({file!r})
'''


def settings_folder() -> Path | None:
    """The folder that $PIPELINE_CONFIG names, None where it names a file or nothing."""
    path = config.located(config.settings_file())
    return path.absolute() if config.settings_file() and path.is_dir() else None


def settings_files(folder: Path) -> list[Path]:
    """The settings files in *folder*, by name; raises ConfigError where there is none."""
    files = sorted(file for file in folder.glob("*.toml") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ConfigError(f"there is no settings file in {folder}; expected one FILE.toml for each model")
    return files


def write_dag_files(folder: Path, target: Path) -> None:
    """Write a DAG file into *target* for each settings file of *folder*, and remove those of files that are gone."""
    target.mkdir(parents=True, exist_ok=True)
    texts = {f"{file.stem}.py": DAG_FILE.format(file=str(file.absolute())) for file in settings_files(folder)}
    for name, text in texts.items():
        if not (target / name).is_file() or (target / name).read_text() != text:
            write_atomically(target / name, text)
    for file in target.glob("*.py"):
        if file.name not in texts:
            file.unlink()
