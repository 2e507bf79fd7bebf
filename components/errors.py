"""Every failure with a message for the user: the thing, the value, what was expected, what to type.

    Failure                         exit  a retry of the same run ...
      PipelineError                       ... fails in the same way: do not retry
        ConfigError                  2    a setting or an argument is wrong
        SourceError                  2    the source of the images does not exist or cannot be used
        DataRejected                 3    the images are not fit for training
        ModelRejected                4    the model diverged or is below the gate
          ExportRejected             4    an exported file disagrees with the model
          PromotionRejected          4    the challenger may not become the champion
        ArtifactMissing              1    a stage was requested before the stage that it reads
        ArtifactCorrupt              1    a stored file differs from what was published
        RegistryRefused              1    MLflow does not do what was asked: somebody changed something there
      Unavailable                    1    ... may succeed: retry
        SourceUnreachable            1    the network or the disk of the images does not answer
          SourceChanged              1    the images changed while they were read
        RegistryUnreachable          1    the MLflow server or its database
        StorageFailed                1    the disk is full or not writable
        WorkerLost                   1    a process of a distributed training ended or did not answer

Any other exception is a bug and keeps its traceback.
"""

from components.advice import Action, actions
from components.public_text import public


class Failure(Exception):
    """A failure whose text can be shown to a user as it is; `exit_code` is the status of the process.

    The text holds no credentials, and every stream, file and database takes it, whatever address or name it quotes.
    """

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        super().__init__(*map(public, arguments))

    @property
    def advice(self) -> tuple[Action, ...]:
        """What can be done about it, as data."""
        return tuple(actions(str(self)))


class PipelineError(Failure):
    """Permanent failure: a retry would fail in the same way."""


class ConfigError(PipelineError):
    """Settings or arguments are wrong; carries every problem, so that all can be fixed at once."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(line for problem in problems for line in public(problem).splitlines())
        super().__init__("\n".join(self.problems))


class SourceError(PipelineError):
    """The source of the images does not exist, or is of no known kind."""

    exit_code = 2


class DataRejected(PipelineError):
    """The images or labels are not fit for training."""

    exit_code = 3


class ModelRejected(PipelineError):
    """The model diverged while training, or was measured and is below the gate."""

    exit_code = 4


class ExportRejected(ModelRejected):
    """An exported file does not compute what the model computes."""


class PromotionRejected(ModelRejected):
    """The challenger may not replace the champion."""


class ArtifactMissing(PipelineError):
    """A stage was requested before the stage that it reads had run."""


class ArtifactCorrupt(PipelineError):
    """A stored file is missing, or its bytes differ from those that were published."""


class RegistryRefused(PipelineError):
    """MLflow answered that it cannot do what was asked."""


class Unavailable(Failure):
    """Something outside the run failed; the same run may succeed later."""


class SourceUnreachable(Unavailable):
    """The network did not answer, or the disk."""


class SourceChanged(SourceUnreachable):
    """The source changed while it was read: what was read so far is not what it holds now."""


class RegistryUnreachable(Unavailable):
    """MLflow did not answer."""


class StorageFailed(Unavailable):
    """The disk is full or not writable."""


class WorkerLost(Unavailable):
    """A process of a distributed training ended early, or never answered."""
