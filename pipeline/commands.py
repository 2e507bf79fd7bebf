"""Commands that a user can paste: every argument is quoted, every setting that was given is repeated.

They are stored with "python"; `components.printed_commands` names the interpreter in use where they are printed.
"""

import shlex

from pipeline.run_record import RunRecord

PIPELINE = ("python", "-m", "pipeline")


def pipeline_command(*arguments: str) -> str:
    return shlex.join([*PIPELINE, *arguments])


def run_command(record: RunRecord) -> str:
    """The command that runs *record* again, or to its end."""
    return pipeline_command("run", *_settings(record))


def clean_command(source: str) -> str:
    """The command that shows which files to move out of the folder *source*."""
    return pipeline_command("clean", "--source", source)


def review_command(record: RunRecord) -> str:
    """The command that shows the suspected labels and mistakes of the model of *record*."""
    return pipeline_command("review", "--model", str(record.settings["register.name"]))


def _settings(record: RunRecord) -> list[str]:
    source = ["--source", record.source] if record.source else []
    return source + [
        part
        for name, value in record.chosen.items()
        if name != "ingest.source"
        for part in ("--set", f"{name}={value}")
    ]
