"""What can be done about a failure or a warning, as data: each interface puts it into words of its own.

Messages hold their advice as the command line takes it, which is how they are stored and, nearly so, printed:

    "...; train longer with --set train.epochs=16"        Run({"train.epochs": "16"})
    "run 'python -m pipeline stage train' first"          Stage("train")
    "look at the mistakes: python -m pipeline report"     Command("report")

`actions` reads it from a message, and `reworded` says it in other words. Standard library only.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

# "digits", 'my pictures', or the "..." that a user is to fill in; a message goes on after it with punctuation
VALUE = r"(?:'[^']*'|\.\.\.|[^\s;()'`]*[^\s;(),.'`])"
SETTING = rf"[a-z]+\.[a-z_0-9]+={VALUE}"
VARIABLES = {"SOURCE": "ingest.source", "MNIST_DIR": "ingest.data_dir"}
ASSIGNMENT = rf"(?:{'|'.join(VARIABLES)})={VALUE}"
ARGUMENT = rf"(?:--set {SETTING}(?: {SETTING})*|--source {VALUE}|--force [a-z]+)"
WHOLE = rf"(?:{ASSIGNMENT} )?(?:python -m pipeline run|make pipeline)\b(?: (?:{ARGUMENT}|{ASSIGNMENT}))*"
RUN = rf"{WHOLE}|{ARGUMENT}(?: {ARGUMENT})*|{ASSIGNMENT}"
COMMAND = r"[a-z-]+(?: (?:[A-Z]{2,}|\d+|--[a-z]+(?: (?:[A-Z]{2,}|/\S*[^\s;),.]|'[^']*'))?)(?![a-z]))*"
OPENING = r" only with |(?:,? and)? with |,? such as |: | in |\b(?:run|use|take) |"
ADVICE = (
    r"(?P<again>\brun (?:it|['`]?make pipeline['`]?) again)"
    rf"|(?P<opening>{OPENING})(?P<quote>['`]?)(?:"
    r"python -m pipeline stage (?P<stage>[a-z]+)"
    rf"|(?P<run>{RUN})"
    rf"|python -m pipeline (?P<command>{COMMAND})"
    r"|(?P<target>make (?:mlflow|tensorboard|airflow|setup))"
    r")(?P=quote)(?: first, or everything with 'make pipeline')?"
    r"|\S*python -m pip install '(?P<package>[^']+)'"
    r"|--set (?P<setting>[\w.]+)|(?P<option>--config)\b"
)


@dataclass(frozen=True)
class Run:
    """Run everything, with these settings changed; *force* is the stage that runs even where its result exists.

    *opening* are the words by which it is joined to what it is good for: "train longer **with** ...".
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    force: str = ""
    opening: str = ""


@dataclass(frozen=True)
class Again:
    """Repeat what has failed: what was finished is kept."""


@dataclass(frozen=True)
class Stage:
    """Run this stage, and with it what comes after."""

    name: str
    opening: str = ""


@dataclass(frozen=True)
class Command:
    """A command of the pipeline, or `make mlflow`: see what it shows, or have it done."""

    words: str
    opening: str = ""


@dataclass(frozen=True)
class Package:
    """A Python package to install."""

    name: str


@dataclass(frozen=True)
class Setting:
    """A setting, or a variable of the environment, that is named without a value."""

    name: str


Action = Run | Again | Stage | Command | Package | Setting


def actions(text: str) -> list[Action]:
    """What can be done according to the message *text*, in its order."""
    return [_action(found) for found in _pattern().finditer(text)] if _may_advise(text) else []


def reworded(text: str, words: Callable[[Action], str]) -> str:
    """*text* with each of its actions, opening included, in the *words* of another interface."""
    return _pattern().sub(lambda found: words(_action(found)), text) if _may_advise(text) else text


def _may_advise(text: str) -> bool:
    """A quick look: hardly a line of a long log does."""
    return any(mark in text for mark in ("--", "python -m", "make ", " again", *VARIABLES))


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(ADVICE)


def _action(found: re.Match[str]) -> Action:
    opening = (found["opening"] or "").strip(" ,").removeprefix("and ")
    if found["again"]:
        return Again()
    if found["stage"]:
        return Stage(found["stage"], opening)
    if found["run"]:
        return _run(found["run"], opening)
    if found["package"]:
        return Package(found["package"])
    if found["setting"] or found["option"]:
        return Setting(found["setting"] or "PIPELINE_CONFIG")
    return Command(found["command"] or found["target"], opening)


def _run(command: str, opening: str) -> Run:
    """The arguments of `python -m pipeline run`, of `make pipeline`, or of neither."""
    settings, force, option = dict[str, str](), "", ""
    for word in shlex.split(command):
        name, equals, value = word.partition("=")
        if option == "--source":
            settings["ingest.source"] = word
        elif option == "--force":
            force = word
        elif equals:
            settings[VARIABLES.get(name, name)] = value
        option = word if word.startswith("--") else ""
    return Run(settings, force, opening)
