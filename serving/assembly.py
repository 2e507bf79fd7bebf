"""The parts of the server put together."""

from components.inference.published import Published, fetched
from components.registry.client import CHALLENGER, Registry
from components.registry.model_version import ModelVersion
from components.settings.sections import words
from serving import drawing_page, health, openapi
from serving.app import Application
from serving.champion import Champion
from serving.metrics import Metrics
from serving.origins import Origins
from serving.protocols import mlflow, open_inference, tf_serving, tutorial
from serving.request_log import RequestLog
from serving.routes import Routes
from serving.server import Server
from serving.service import Service
from serving.settings import Settings
from serving.shadow import Shadow
from serving.wrong_answers import WrongAnswers

ROUTES = (*tutorial.ROUTES, *tf_serving.ROUTES, *open_inference.ROUTES, *mlflow.ROUTES, *health.ROUTES, *openapi.ROUTES)


def assembled(settings: Settings) -> Server:
    def locate(version: ModelVersion) -> Published:
        return fetched(registry, version, settings.home / "exports")

    metrics, registry = Metrics(), Registry(settings.registry)
    champion = Champion(registry, settings.model, locate, metrics.switched)
    challenger = Champion(registry, settings.model, locate, lambda *_: None, CHALLENGER)
    shadow = Shadow(challenger, settings.serve.shadow_share, settings.report_folder / "shadow")
    log = RequestLog(settings.log_folder, settings.serve)
    service = Service(champion, shadow, log, metrics)
    origins = Origins(words(settings.serve.origins))
    page = drawing_page.routes(WrongAnswers(settings.report_folder / "wrong.jsonl"), origins)
    application = Application(service, Routes((*ROUTES, *page)), settings.token, origins)
    return Server(application, service, settings.serve.host, settings.serve.port)
