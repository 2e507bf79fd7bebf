"""The dialects of clients: the tutorials' /predict, TensorFlow Serving, Open Inference Protocol v2, MLflow."""
