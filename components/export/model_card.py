"""README.md: the model card, Markdown after a block of YAML, as Hugging Face reads it.

https://huggingface.co/docs/hub/model-cards. No license is named: that of the images decides, which nobody here knows.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from components.artifact_files import InputInfo, Metrics, ModelInfo, NormalizedData, Parity
from components.export.formats import format_of, served
from components.export.snippets import snippets
from components.formatting import percent, points, size
from components.public_text import public
from components.system.files import sha256_of_file

LISTED, WEAKEST = 20, 5  # classes
FITS = {
    "pad": "padded with their edge pixels",
    "crop": "cropped around the middle",
    "stretch": "stretched",
}


def model_card(info: ModelInfo, commit: str, data: NormalizedData, metrics: Metrics, parity: Parity, out: Path) -> str:
    """The card of the model whose files lie in the folder *out*."""
    name = _plain(info["model"])
    sections = (
        _front_matter(info, data),
        [f"# {name}, version {info['version']}", "", _summary(info, data)],
        _data(info, data),
        _figures(info, metrics, parity),
        _limits(info, data, metrics),
        _use(info),
        _provenance(info, commit, out),
    )
    text: str = public("\n\n".join("\n".join(lines) for lines in sections))
    return text + "\n"


def _plain(text: str) -> str:
    """*text* in one line, and as text wherever it stands in Markdown."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\|`*_<[#" else character for character in line)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _front_matter(info: ModelInfo, data: NormalizedData) -> Iterator[str]:
    """Every text as a JSON string, which YAML takes."""
    yield from ("---", "pipeline_tag: image-classification", "tags:", "- image-classification")
    yield from ("- litert", "- keras", "model-index:", f"- name: {json.dumps(info['model'])}", "  results:")
    yield from ("  - task:", "      type: image-classification", "    dataset:")
    yield from (f"      name: {json.dumps(data['name'])}", "      type: images", "      split: test")
    yield from ("    metrics:", "    - type: accuracy", f"      value: {info['accuracy']:.6f}", "---")


def _summary(info: ModelInfo, data: NormalizedData) -> str:
    interval = f"{points(info['wilson_low'])} to {percent(info['wilson_high'])}"
    return (
        f"Classifies images of {_plain(data['name'])} into {len(info['classes']):,} classes: "
        f"{percent(info['accuracy'])} of {info['n']:,} test images right (95 % interval {interval})."
    )


def _data(info: ModelInfo, data: NormalizedData) -> Iterator[str]:
    names = [_plain(name) for name in info["classes"]]
    more = f" and {len(names) - LISTED:,} more (labels.txt)" if len(names) > LISTED else ""
    counts = ", ".join(f"{count:,} {split}" for split, count in sorted(data.get("images", {}).items(), reverse=True))
    yield from ("## Data", "")
    yield f"- Source: {_plain(data['source'])}"
    yield from [f"- Images: {counts}"] if counts else []
    yield f"- Classes: {', '.join(names[:LISTED])}{more}"
    yield f"- Input: {_taken(info['input'])}"


def _taken(entry: InputInfo) -> str:
    height, width, _ = entry["shape"]
    return (
        f"{height} x {width} pixels, {entry['channels']}, raw values 0 to 255. Images of other sizes were resized with "
        f"the filter {entry['resize']}, and {FITS[entry['fit']]} where their proportions are others"
    )


def _figures(info: ModelInfo, metrics: Metrics, parity: Parity) -> Iterator[str]:
    """Accuracies of the test split; no times, which differ from one machine to the next."""
    yield from ("## Figures", "")
    rows = [
        (f"`{form['path']}`", size(form["bytes"]), size(form["gzip_bytes"]), percent(form["accuracy"]))
        for form in parity["formats"].values()
    ]
    yield from _table(("file", "size", "under gzip", "test accuracy"), rows)
    if weakest := sorted(metrics.get("per_class", []), key=lambda scores: scores["recall"])[:WEAKEST]:
        yield from ("", "The classes with the lowest recall, by the Keras model:", "")
        intervals = (f"{points(each['wilson_low'])} to {percent(each['wilson_high'])}" for each in weakest)
        cells = (
            (_plain(each["name"]), percent(each["recall"]), interval, f"{each['support']:,}")
            for each, interval in zip(weakest, intervals, strict=True)
        )
        yield from _table(("class", "recall", "95 % interval", "test images"), cells)
    if (error := metrics.get("corruption_error")) is not None:
        yield from ("", f"On test images with noise, blur and the like, {percent(error)} are wrong on average.")


def _limits(info: ModelInfo, data: NormalizedData, metrics: Metrics) -> Iterator[str]:
    yield from ("## Limits", "")
    yield "- An image of anything else gets one of the classes above all the same, sometimes with a high probability."
    yield f"- It was tested on images of the source of its training images, {_plain(data['name'])}, and on no others."
    if "corruption_error" not in metrics:
        yield "- It was not tested on images with noise, blur or other damage."
    if not metrics.get("temperature"):
        yield "- Its probabilities were not calibrated."
    if drawn := info["drawn"]:
        side = info["input"]["shape"][0]
        yield (
            f"- Its training images are light drawings on black, scaled to {drawn['box']} pixels and with their "
            f"{'centre of mass' if drawn['centred'] else 'middle'} in the middle of {side} x {side}; bring others into "
            "that form first."
        )


def _use(info: ModelInfo) -> Iterator[str]:
    yield from ("## Use", "")
    yield (
        "`labels.txt` has the classes in the order of the probabilities, a line each; the files hold them too. "
        "A picture of other proportions than the input is first fitted as said above."
    )
    if not (name := served(info["formats"])):
        yield "No file for LiteRT was exported (`export.formats`)."
        return
    form, classes = format_of(name), len(info["classes"])
    for title, language, code in snippets(form.path, info["input"], classes, form.quantized):
        yield from ("", f"### {title}", "", f"```{language}", code.rstrip(), "```")


def _provenance(info: ModelInfo, commit: str, out: Path) -> Iterator[str]:
    yield from ("## Provenance", "")
    yield from [f"- Commit: `{commit}`"] if commit else []
    yield f"- The trained model, model.keras, has sha256 `{info['model_sha256']}`"
    yield from ("", "`model_info.json` has the sha256 of every file, by which a download can be verified:", "")
    files = sorted(path for path in out.rglob("*") if path.is_file())
    rows = ((f"`{path.relative_to(out).as_posix()}`", f"`{sha256_of_file(path)}`") for path in files)
    yield from _table(("file", "sha256"), rows)
