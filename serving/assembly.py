"""The parts of the server put together."""

from components.registry.client import Registry
from serving import health
from serving.app import Application
from serving.champion import Champion
from serving.metrics import Metrics
from serving.protocols import tutorial
from serving.routes import Routes
from serving.server import Server
from serving.service import Service
from serving.settings import Settings

ROUTES = (*tutorial.ROUTES, *health.ROUTES)


def assembled(settings: Settings, name: str) -> Server:
    metrics = Metrics()
    champion = Champion(
        Registry(settings.registry), name, lambda version: settings.home / "exports" / name / version.version, metrics.switched
    )
    service = Service(name, champion, metrics)
    application = Application(service, Routes(ROUTES), settings.token)
    return Server(application, service, settings.serve.host, settings.serve.port)
