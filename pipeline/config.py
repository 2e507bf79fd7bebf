"""Settings by layer: defaults < defaults of the source < TOML file < environment < --set.

    [train]                       PIPELINE_TRAIN_EPOCHS=3        --set train.epochs=3
    epochs = 3

A file in pipeline/profiles/ is known by its bare name: --config fast. All problems are reported together, before
anything runs.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from components.formatting import did_you_mean
from components.public_text import public
from components.settings import cron, timezone, toml_file
from components.settings.fields import parsed, problem, variable
from components.settings.sections import SECTIONS, Ingest, Params
from components.settings.source_defaults import SOURCE_DEFAULTS
from components.system.files import expanded

Values = Mapping[str, object]  # "train.epochs" -> 3

FROM_ENVIRONMENT = {
    "MNIST_DIR": "ingest.data_dir",
    "TFDS_DATA_DIR": "ingest.tfds_dir",
    "PIPELINE_PYTHON": "schedule.python",
}
# the variables that are no settings; any other PIPELINE_... has to be PIPELINE_SECTION_NAME of a setting
VARIABLES = (
    "PIPELINE_HOME",  # the workspace: pipeline/home.py
    "PIPELINE_STORE",  # the bucket of a shared store: pipeline/store/bucket.py
    "PIPELINE_CONFIG",  # the settings file where --config names none
    "PIPELINE_COMMIT",  # the commit of the code outside a repository: pipeline/run_record.py
    "PIPELINE_MLFLOW_UI",  # where a browser reaches MLflow: pipeline/airflow/links.py
    "PIPELINE_PUBLIC_KEY",  # by which verify checks signatures where --key names none: pipeline/cli/signing.py
    "PIPELINE_KEY_PASSWORD",  # of an encrypted private key, for sign: likewise
    "PIPELINE_WORKSPACE",  # set by Azure Pipelines
)
SETTINGS = {f"{section}.{f.name}": f for section, kind in SECTIONS.items() for f in fields(kind)}
SECTIONS_OF_BOUNDS = ("validate", "gate", "promote")
BOUND_OF_INGEST = "ingest.max_unreadable_share"
SCHEDULES = ("schedule.cron", "schedule.watch")
TIMEZONE = "schedule.timezone"
PROFILES = Path(__file__).parent / "profiles"
SERVICE_LINK = re.compile(
    r"PIPELINE_(\w+?_)??(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?|(?P<port>PORT))"
)
ADDRESS = re.compile(r"(tcp|udp|sctp)://")
AUTO = "auto"


def settings_file(file: str = "") -> str:
    """*file*, or the one that $PIPELINE_CONFIG names; "" for none."""
    return file or os.environ.get("PIPELINE_CONFIG", "")


def load(
    file: str = "", overrides: Iterable[str] = (), source: str = "", environment: Mapping[str, str] | None = None
) -> Params:
    """The settings without access to any image: the source "auto" means mnist. Raises as `read` does.

    The settings of a run come from pipeline/run_settings.py, which looks for MNIST first.
    """
    return settle(read(file, overrides, source, environment))


def read(
    file: str = "", overrides: Iterable[str] = (), source: str = "", environment: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The settings that users wrote, each checked by itself; raises ConfigError with every problem.

    *file* is a TOML file, *overrides* are texts "train.epochs=3", *source* is short for ingest.source.
    """
    values = [*layers(file, overrides, environment)]
    if source:
        values.append(("ingest.source", source))
    if problems := [text for name, value in values if (text := _problem(name, value) or _never(name, value))]:
        raise ConfigError(*problems)
    return dict(values)


def layers(
    file: str, overrides: Iterable[str], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, object]]:
    """(name, value) as users wrote them, unchecked, each layer after those that it overrides.

    The value is None where `--set` has none.
    """
    yield from _file(file)
    yield from _environment(os.environ if environment is None else environment)
    yield from _overrides(overrides)


def settle(values: Values) -> Params:
    """*values* completed by the defaults of their source and the names that follow from it.

    Raises ConfigError where the source cannot use a setting that was changed.
    """
    from components.ingest import select

    ingest = ingest_section(values)
    if ingest.source == AUTO:
        ingest = replace(ingest, source="mnist")
    values = {**SOURCE_DEFAULTS.get(ingest.source, {}), **values, "ingest.source": ingest.source}
    name = registered_model(values, ingest)
    experiment = values.get("register.experiment") or name
    unused = select.unused_settings(ingest)
    return complete({**values, "register.name": name, "register.experiment": experiment}, unused)


def registered_model(values: Values, ingest: Ingest) -> str:
    """The name of the registered model; raises SourceError where it follows from a source that is not there."""
    from components.ingest import select

    return str(values.get("register.name") or f"{select.name(ingest)}-classifier")


def ingest_section(values: Values) -> Ingest:
    return Ingest(**section(values, "ingest"))


def complete(values: Values, known: Iterable[str] = ()) -> Params:
    """*values* as settings, all others at their defaults or what the machine decides.

    Raises ConfigError with every problem, those that are *known* before included.
    """
    from components.models import catalog
    from components.train.machine import settled

    sections, problems = dict[str, Any](), list(known)
    for name, kind in SECTIONS.items():
        try:
            sections[name] = kind(**section(values, name))
        except ConfigError as error:
            problems += error.problems
    for network in sections["train"].networks if "train" in sections else ():
        try:
            catalog.check(network, sections["train"])
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return Params(**{**sections, "train": settled(sections["train"])})


def chosen(params: Params) -> dict[str, object]:
    """The settings that a user chose: those that differ from what the source alone would give."""
    from components.train.machine import settled

    usual = flat(settle({"ingest.source": params.ingest.source}))
    left_open = settled(replace(params.train, precision=AUTO, threads=0))
    usual |= {"train.precision": left_open.precision, "train.threads": left_open.threads}
    return {name: value for name, value in flat(params).items() if value != usual[name]}


def derived(values: Values, params: Params) -> set[str]:
    """The settings of *params* that nobody wrote among *values* and that differ from their defaults.

    They follow from the source, from other settings or from the machine.
    """
    defaults = {name: spec.default for name, spec in SETTINGS.items()}
    written = {name for name, value in values.items() if value != defaults[name]}
    return {name for name, value in flat(params).items() if name not in written and value != defaults[name]}


def flat(params: Params) -> dict[str, object]:
    """Every setting by its full name: {"train.epochs": 12, ...}."""
    return {f"{section}.{name}": value for section, values in asdict(params).items() for name, value in values.items()}


def written(file: str = "", environment: Mapping[str, str] | None = None) -> tuple[dict[str, object], list[str]]:
    """The valid settings of the settings file and the environment, by full name, and the problems of the others.

    For a DAG file, which has to load even where a setting is wrong: `read` refuses it when the run begins.
    """
    environment = os.environ if environment is None else environment
    layers, problems = list(_environment(environment)), list[str]()
    try:
        layers = [*_file(file), *layers]
    except ConfigError as error:
        problems = list(error.problems)
    wrong = {name: public(text) for name, value in layers if (text := _problem(name, value))}
    return {name: value for name, value in layers if name not in wrong}, [*problems, *wrong.values()]


def section(values: Values, section: str) -> dict[str, Any]:
    """The settings of *section* by their short names, to be checked where the section is created from them."""
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{section}.")}


def _problem(name: str, value: object) -> str | None:
    if value is None:
        return f"--set {name} has no value; write it as --set train.epochs=3"
    if name.startswith("PIPELINE_"):
        return _unknown_variable(name)
    return problem(name, SETTINGS[name], value) if name in SETTINGS else unknown(name)


def _never(name: str, value: object) -> str | None:
    """What is wrong with a schedule or its time zone; not reported by `written`, as the DAG file itself refuses it."""
    try:
        if name in SCHEDULES:
            cron.check(str(value), usual=str(SETTINGS[name].default))
        elif name == TIMEZONE:
            timezone.check(str(value))
    except ValueError as error:
        return f"{name} is {value!r}; {error}"
    return None


def is_bound(name: str) -> bool:
    """Whether a check applies the setting *name* to what is measured already: it may change within a run."""
    of_checks = name.partition(".")[0] in SECTIONS_OF_BOUNDS or name == BOUND_OF_INGEST
    return of_checks and not SETTINGS[name].metadata["in_key"]


def unknown(name: str) -> str:
    """That there is no setting *name*, and the one that was probably meant."""
    hint = did_you_mean(name, SETTINGS, cutoff=0.5) or "python -m pipeline settings lists them all"
    return f"no setting is called '{name}'; {hint}"


def _unknown_variable(name: str) -> str:
    known = [*VARIABLES, *FROM_ENVIRONMENT, *map(variable, SETTINGS)]
    hint = did_you_mean(name, known, cutoff=0.8) or f"a setting is set as {variable('train.epochs')}=3"
    return f"the environment variable {name} sets nothing; {hint}"


def profiles() -> list[str]:
    """The names of the profiles that come with the project."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def located(file: str) -> Path:
    """The settings file *file*, or the profile of that name where there is no such file."""
    profile = PROFILES / f"{file}.toml"
    return profile if file in profiles() and not Path(file).is_file() else Path(expanded(file))


def check_variables(environment: Mapping[str, str] | None = None) -> None:
    """Raise ConfigError with every variable whose name begins with PIPELINE_ and that sets nothing."""
    names = [name for name, _ in _environment(os.environ if environment is None else environment)]
    if problems := [_unknown_variable(name) for name in names if name.startswith("PIPELINE_")]:
        raise ConfigError(*problems)


def document(path: str) -> dict[str, dict[str, object]]:
    """The sections of the settings file *path*."""
    try:
        return toml_file.read(located(path), path)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no settings file {path}; give --config a TOML file that exists, or a profile: "
            + ", ".join(profiles())
        ) from None


def _file(path: str) -> Iterator[tuple[str, object]]:
    sections = document(path) if path else {}
    for section, values in sections.items():
        if section == "tune":  # the search space, for `tune` alone: pipeline/tuning/plan.py reads it
            continue
        yield from ((f"{section}.{name}", value) for name, value in values.items())


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    for name, setting in FROM_ENVIRONMENT.items():
        if environment.get(name):
            yield setting, environment[name]
    for name, text in sorted(environment.items()):
        if not name.startswith("PIPELINE_") or name in (*VARIABLES, *FROM_ENVIRONMENT) or _is_service_link(name, text):
            continue
        section, _, rest = name.removeprefix("PIPELINE_").lower().partition("_")
        setting = f"{section}.{rest}" if section in SECTIONS and rest else name
        yield setting, parse(setting, text)


def _is_service_link(name: str, text: str) -> bool:
    """Whether Kubernetes set the variable, for a service called pipeline or pipeline-..., in each pod beside it."""
    link = SERVICE_LINK.fullmatch(name)
    return link is not None and (link["port"] is None or ADDRESS.match(text) is not None)


def _overrides(texts: Iterable[str]) -> Iterator[tuple[str, object]]:
    for text in texts:
        name, equals, value = text.partition("=")
        yield name.strip(), parse(name.strip(), value.strip()) if equals else None


def parse(name: str, text: str) -> object:
    """*text* as the type of the setting *name*; the text itself where it is not of that type, for the error message."""
    return parsed(SETTINGS[name], text) if name in SETTINGS else text
