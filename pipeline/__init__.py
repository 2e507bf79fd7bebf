"""Which stage runs, with what, and whether it must: the graph, the keys, the store and the runner."""

import os

# No library that the stages load may call home, and MLflow may not unpickle what it finds in a registry. Set here, at
# the import that comes before any of them, so that it holds for the command line, for Airflow and for the tests alike.
for _name, _value in {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "TFDS_DISABLE_PROGRESS_BAR": "1",
    "NO_GCE_CHECK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}.items():
    os.environ.setdefault(_name, _value)
