"""Follow the alias champion: once a second the registry is asked, and a new version is loaded beside the old one.

    alias -> version -> its tag export.sha256 -> model_info.json -> the files, each checked; then the canary images

Only then one assignment switches, so that no request waits and none is answered by two versions. A version that fails
any of this is refused, and the one in use goes on.
"""

import gc
import time
from collections.abc import Callable

from components.errors import ConfigError, Failure
from components.inference.published import Published
from components.progress import say
from components.registry.client import CHAMPION, Registry
from components.registry.exports import SHA256_TAG
from components.registry.model_version import ModelVersion
from serving.loaded_model import LoadedModel, load

RETRY_SECONDS = 10.0  # until a refused version is tried again: its files may have been restored
FAILED, DONE = "refused", "done"  # outcomes of a switch


class Champion:
    """The version of the model *name* that *alias* points at, as far as it can be served.

    Without a *name* it is the only model of the registry, once there is one. `look` is called by one thread at a time.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        locate: Callable[[ModelVersion], Published],
        switched: Callable[[str, float], None],
        alias: str = CHAMPION,
    ) -> None:
        self._registry, self.name, self._locate, self._switched, self.alias = registry, name, locate, switched, alias
        self._refused: tuple[str, str] | None = None  # version and sha256
        self._retry_at = 0.0
        self.model: LoadedModel | None = None
        self.problem = "the registry was not asked yet"  # "" where there is none
        self.reachable = False

    def look(self) -> None:
        """Ask the registry, and switch where the alias has moved."""
        try:
            self.name = self.name or only_model(self._registry)
            version = self._registry.alias(self.name, self.alias)
            self.reachable = True
        except Failure as failure:
            self.reachable = isinstance(failure, ConfigError)
            self._report(str(failure))
            return
        if version is None:
            self._report(f"{self.name} has no {self.alias} in the registry; make one with make pipeline")
        elif self._is_current(version):
            self._report("")
        elif not self._is_refused(version):
            self._switch(version)

    def _is_current(self, version: ModelVersion) -> bool:
        return self.model is not None and _identity(version) == (self.model.version, self.model.sha256)

    def _is_refused(self, version: ModelVersion) -> bool:
        return _identity(version) == self._refused and time.monotonic() < self._retry_at

    def _switch(self, version: ModelVersion) -> None:
        start = time.perf_counter()
        try:
            model = load(self._locate(version))
        except Exception as error:  # whatever a file holds, it must not end the process that serves another one
            self._refuse(version, error)
            self._switched(FAILED, time.perf_counter() - start)
            return
        before, self.model = self.model, model
        self._refused = None
        self._switched(DONE, time.perf_counter() - start)
        self._report("")
        say(f"{self.name}: version {model.version} is served" + (f", after {before.version}" if before else ""))
        gc.freeze()  # what was loaded stays: the collector need not look at it again

    def _refuse(self, version: ModelVersion, error: Exception) -> None:
        self._refused, self._retry_at = _identity(version), time.monotonic() + RETRY_SECONDS
        reason = str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
        stays = f"; version {self.model.version} goes on" if self.model else ""
        self._report(f"version {version.version} of {self.name} is refused: {reason}{stays}")

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            say(problem)
        self.problem = problem


def only_model(registry: Registry) -> str:
    """The name of the one model in the registry; raises ConfigError where there is none, or which is not clear."""
    names = registry.names()
    if not names:
        raise ConfigError("the registry has no model yet; make one with make pipeline")
    if len(names) > 1:
        listed = ", ".join(names)
        raise ConfigError(
            f"the registry has {len(names)} models ({listed}); choose one with --set serve.model={names[0]}"
        )
    return names[0]


def _identity(version: ModelVersion) -> tuple[str, str]:
    return version.version, version.tags.get(SHA256_TAG, "")
