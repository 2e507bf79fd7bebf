"""The report's sections about evaluation in depth: slices, spoilt images, suspected labels, what to change.

Reads JSON and CSV, loads no NumPy. Each part is None or empty where the run has nothing for it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.evaluate import diagnosis
from components.formatting import percent, thousands
from components.settings.sections import Gate, Train


def in_depth(
    artifacts: Mapping[str, Path], metrics: dict[str, Any] | None, settings: Mapping[str, Any], comparison: Any
) -> dict[str, Any]:
    """slices, corruption, suspects and diagnoses, as the template takes them; *comparison* is what promote found."""
    evaluate = artifacts.get("evaluate", Path("none"))
    return {
        "slices": _slices(metrics) if metrics else None,
        "corruption": _corruption(_read(evaluate / "corruptions.json"), (comparison or {}).get("corruption")),
        "suspects": _read(evaluate / "suspects.json"),
        "diagnoses": _diagnoses(artifacts, metrics, settings) if metrics else [],
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _slices(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Property -> its parts, each with the span of its values."""
    if not metrics.get("slices"):
        return None
    properties: dict[str, list[dict[str, Any]]] = {}
    for part in metrics["slices"]["parts"]:
        span = f"{_end(part['low'])} to {_end(part['high'])}".replace("… to", "up to").replace("to …", "and more")
        properties.setdefault(f"{part['property']} ({part['unit']})", []).append({**part, "span": span})
    return {"drawn": metrics["slices"]["drawn"], "properties": properties}


def _end(value: float | None) -> str:
    return "…" if value is None else f"{value:.4g}"


def _corruption(spoilt: dict[str, Any] | None, comparison: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row a kind, with the errors at each strength as shares, and the champion's mean where it is known."""
    if spoilt is None:
        return None
    champion = comparison["champion"] if comparison else None
    rows = [
        {
            "name": kind["name"],
            "meaning": f"{kind['meaning']}: {', '.join(f'{strength:g}' for strength in kind['strengths'])}",
            "errors": [wrong / spoilt["n"] for wrong in kind["wrong"]],
            "mean": kind["error"],
            "champion": champion["kinds"][kind["name"]] if champion else None,
        }
        for kind in spoilt["kinds"]
    ]
    whole = {"rows": rows, "n": spoilt["n"], "mean": spoilt["mean_error"], "clean": spoilt["clean_wrong"] / spoilt["n"]}
    return whole | {"champion": champion["mean"] if champion else None}


def _diagnoses(
    artifacts: Mapping[str, Path], metrics: dict[str, Any], settings: Mapping[str, Any]
) -> list[diagnosis.Diagnosis]:
    train = artifacts.get("train")
    if train is None or not (train / "history.csv").is_file():
        return []
    training = {name.removeprefix("train."): value for name, value in settings.items() if name.startswith("train.")}
    bounds = {name.removeprefix("gate."): value for name, value in settings.items() if name.startswith("gate.")}
    return diagnosis.read(train, metrics, Train(**training), Gate(**bounds))


def alternatives(metrics: dict[str, Any]) -> dict[str, str]:
    """Texts instead of the pictures, for those who do not see them."""
    spoilt = percent(metrics.get("corruption_error", 0))
    doubted = sum(split["suspects"] for split in metrics.get("suspects", {}).values())
    return {
        "slices": "Accuracy of each class and each slice with its 95 % interval; the tables below list them",
        "suspects": f"The most suspect of {thousands(doubted)} suspected label errors; the table below lists them",
        "corruption-curves": f"Error by strength for each corruption, {spoilt} % on average; the table lists them",
        "corruption-samples": "One test image under each corruption, as it is and at the five strengths",
    }
