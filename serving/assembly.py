"""The parts of the server put together."""

from components.inference.published import Published, of_version
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from serving import health
from serving.app import Application
from serving.champion import Champion
from serving.metrics import Metrics
from serving.protocols import mlflow, open_inference, tf_serving, tutorial
from serving.routes import Routes
from serving.server import Server
from serving.service import Service
from serving.settings import Settings

ROUTES = (*tutorial.ROUTES, *tf_serving.ROUTES, *open_inference.ROUTES, *mlflow.ROUTES, *health.ROUTES)


def assembled(settings: Settings) -> Server:
    def locate(version: ModelVersion) -> Published:
        return of_version(version, settings.home / "exports")

    metrics = Metrics()
    champion = Champion(Registry(settings.registry), settings.model, locate, metrics.switched)
    service = Service(champion, metrics)
    application = Application(service, Routes(ROUTES), settings.token)
    return Server(application, service, settings.serve.host, settings.serve.port)
