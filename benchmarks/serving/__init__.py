"""The server of the champion beside a bare ASGI application, Flask with Keras, and MLflow's server."""
