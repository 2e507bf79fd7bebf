"""What a person reads under *Required Actions*: the model beside the champion, in Markdown."""

from collections.abc import Mapping
from typing import Any

from components.registry.approval import readable
from pipeline.airflow.dag_docs import plain
from pipeline.airflow.links import model_url, report_url, run_url
from pipeline.run_record import RunRecord


def body(request: Mapping[str, Any], record: RunRecord | None) -> str:
    """The text about a PromotionRequest, with the links of the run."""
    version = request["version"]
    champion = f"The champion is version {request['champion']}" if request["champion"] else "There is no champion yet"
    lines = [
        f"{champion}. *Approve* makes version {version} champion, *Reject* never promotes it, *Hold* "
        f"leaves it registered, to be promoted later. After {readable(request['until'])} it is rejected.",
        "",
        *_table(request["table"]),
        "",
        *(f"* {plain(line)}" for line in _lines(request["differences"])),
        "",
        _links(record) if record else "",
    ]
    return "\n".join(lines).strip() + "\n"


def _lines(differences: list[list[str]]) -> list[str]:
    """ "changes: train.epochs 8 -> 14; train.seed 0 -> 3": what has no name of its own goes on with the one before."""
    lines: list[str] = []
    for name, text in differences:
        if name and text:
            lines.append(f"{name}: {text}")
        elif text:
            lines[-1] += f"; {text}"
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    head, *rest = ([plain(cell) for cell in row] for row in rows)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest)]


def _links(record: RunRecord) -> str:
    urls = {"Report": report_url(record), "MLflow run": run_url(record), "Model version": model_url(record)}
    return " · ".join(f"[{name}]({url})" for name, url in urls.items() if url)
