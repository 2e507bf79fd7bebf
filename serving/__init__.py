"""The champion over HTTP: one small process that follows the registry; loads neither TensorFlow nor MLflow."""
