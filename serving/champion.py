"""Follow the alias champion: once a second the registry is asked, and a new version is loaded beside the old one.

    alias -> version -> its tag export.sha256 -> model_info.json -> the files, each checked; then the canary images

Only then one assignment switches, so that no request waits and none is answered by two versions. A version that fails
any of this is refused, and the one in use goes on.
"""

import gc
import time
from collections.abc import Callable
from pathlib import Path

from components.errors import Failure
from components.progress import say
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from serving.loaded_model import LoadedModel, load

EXPORT_TAG = "export.sha256"
RETRY_SECONDS = 10.0  # until a refused version is tried again: its files may have been restored
FAILED, DONE = "refused", "done"  # outcomes of a switch


class Champion:
    """The version that *alias* points at, as far as it can be served; `look` is called from one thread at a time."""

    def __init__(
        self,
        registry: Registry,
        name: str,
        locate: Callable[[ModelVersion], Path],
        switched: Callable[[str, float], None],
        alias: str = CHAMPION,
    ) -> None:
        self._registry, self._name, self._locate, self._switched, self._alias = registry, name, locate, switched, alias
        self._refused: tuple[str, str] | None = None  # version and sha256
        self._retry_at = 0.0
        self.model: LoadedModel | None = None
        self.problem = f"the registry was not asked yet for the {alias} of {name}"  # "" where there is none
        self.reachable = False

    def look(self) -> None:
        """Ask the registry, and switch where the alias has moved."""
        try:
            version = self._registry.alias(self._name, self._alias)
            self.reachable = True
        except Failure as failure:
            self.reachable = False
            self._report(str(failure))
            return
        if version is None:
            self._report(f"{self._name} has no {self._alias} in the registry; make one with make pipeline")
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
            model = load(self._locate(version), _identity(version)[1])
        except Exception as error:  # whatever a file holds, it must not end the process that serves another one
            self._refuse(version, error)
            self._switched(FAILED, time.perf_counter() - start)
            return
        before, self.model = self.model, model
        self._refused = None
        self._switched(DONE, time.perf_counter() - start)
        self._report("")
        say(f"{self._name}: version {model.version} is served" + (f", after {before.version}" if before else ""))
        gc.freeze()  # what was loaded stays: the collector need not look at it again

    def _refuse(self, version: ModelVersion, error: Exception) -> None:
        self._refused, self._retry_at = _identity(version), time.monotonic() + RETRY_SECONDS
        reason = str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
        stays = f"; version {self.model.version} goes on" if self.model else ""
        self._report(f"version {version.version} of {self._name} is refused: {reason}{stays}")

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            say(problem)
        self.problem = problem


def _identity(version: ModelVersion) -> tuple[str, str]:
    return version.version, version.tags.get(EXPORT_TAG, "")
