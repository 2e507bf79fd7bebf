"""Which stage runs, on what, and whether it has to: the graph, the keys, the store and the runner."""

import os

# No library that the stages load may send telemetry, and MLflow may not unpickle what is in a registry. Set before
# any is imported, so that it holds for the command line, Airflow and the tests.
for _name, _value in {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "TFDS_DISABLE_PROGRESS_BAR": "1",
    "NO_GCE_CHECK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # read when TensorFlow is imported, by whatever imports it first
}.items():
    os.environ.setdefault(_name, _value)
