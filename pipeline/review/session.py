"""A review while it lasts: what the page shows of each image, and what is decided there, as plain data for JSON."""

import hashlib
import io
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.data import problems
from components.data.pictures.encoding import png
from components.data.splits import Images
from components.ingest import select
from components.printed_commands import with_interpreter
from components.registry.promotion_log import person
from components.system.files import open_regular
from pipeline.home import Home
from pipeline.review import reported
from pipeline.review.decisions import Choice, Decision, Decisions
from pipeline.review.evidence import Evidence
from pipeline.review.images import IngestedImages, Place
from pipeline.review.queue import Item, Queue
from pipeline.review.reported import KeptPictures
from pipeline.review.subject import Subject

CLASSES = 5  # whose probabilities are shown
# what browsers show of the formats that ingest reads, by how their files begin
SHOWN = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
LARGEST = 32 * 2**20  # bytes of a file that is shown as it is


class Unknown(LookupError):
    """The page asks for an image that this review has not."""


class Review:
    """Of the images of *subject*; any thread may ask."""

    def __init__(self, home: Home, subject: Subject) -> None:
        self.subject = subject
        self._lock = threading.Lock()  # of the images
        self._images = IngestedImages(subject.folders["ingest"], subject.folders["normalize"], subject.classes)
        self.items = self._queue(home)
        self._evidence = Evidence(subject)
        file = subject.corrections
        pictures = KeptPictures(file.with_name(f"{file.stem}-pictures"))
        self.decisions = Decisions(file, person(), pictures, subject.applied)

    def _queue(self, home: Home) -> dict[str, Item]:
        folders, queue = self.subject.folders, Queue(self._images, self.subject.classes)
        validated = problems.read(folders["validate"]) if "validate" in folders else []
        queue.add(problems.read(folders["evaluate"]), validated)
        folder = Path(str(self.subject.record.settings.get("serve.report_folder") or home.root / "serving"))
        for report in reported.read(folder / "wrong.jsonl", self.subject.model, self.subject.classes):
            queue.report(report)
        return queue.items

    # What the page shows

    def overview(self) -> dict[str, Any]:
        """The queue, and what was decided about it so far."""
        record, metrics = self.subject.record, self.subject.metrics
        return {
            "model": self.subject.model,
            "version": record.model.get("version", ""),
            "run": record.run,
            "accuracy": metrics["accuracy"],
            "n": metrics["n"],
            "classes": self.subject.classes,
            "items": [_described(item) for item in self.items.values()],
            "file": str(self.decisions.file),
            "pictures": str(self.decisions.pictures.folder),
            "retrain": with_interpreter(self.subject.retrain),
            **self.state(),
        }

    def state(self) -> dict[str, Any]:
        """What was decided, by item, and what the whole file corrects."""
        decided = {name: asdict(decision) for name, decision in self.decisions.of(self.items.values()).items()}
        return {"decisions": decided, "counts": asdict(self.decisions.counts())}

    def details(self, name: str) -> dict[str, Any]:
        """What takes reading of images: probabilities, the nearest training images, how the picture is shown."""
        item = self._item(name)
        pixels, classes = self._pixels(item), self.subject.classes
        row = self._evidence.probabilities(item.place, pixels)
        best = [] if row is None else np.argsort(-row, kind="stable").tolist()
        return {
            "probabilities": [] if row is None else [[classes[k], float(row[k])] for k in best[:CLASSES]],
            "order": [classes[k] for k in best],
            "neighbours": self._nearest(item, pixels),
            "size": list(pixels.shape[1::-1]),
        }

    def picture(self, name: str) -> tuple[bytes, str]:
        """The content of the picture and its media type: the file itself, where a browser shows it, or its pixels."""
        item = self._item(name)
        return self._original(item) or (item.picture or png(self._pixels(item)), "image/png")

    def pixels(self, name: str) -> bytes:
        """The picture as the network takes it, a PNG file."""
        return png(self._pixels(self._item(name)))

    def neighbour(self, position: int) -> bytes:
        """The training image at *position*, a PNG file."""
        with self._lock:
            if position >= len(self._images.split("train")):
                raise Unknown(f"there is no training image {position}")
            return png(self._images.pixels(Place("train", position)))

    # What is decided there

    def decide(self, name: str, choice: Choice, label: str, seen: int) -> None:
        self.decisions.decide(self._item(name), choice, label, seen)

    def undo(self, name: str, seen: int) -> None:
        self.decisions.undo(self._item(name), seen)

    def decision(self, name: str) -> Decision | None:
        return self.decisions.of([self._item(name)]).get(name)

    # One image

    def _item(self, name: str) -> Item:
        if name not in self.items:
            raise Unknown("this image is none of the review that runs here; load the page again")
        return self.items[name]

    def _pixels(self, item: Item) -> Images:
        if item.place is None:
            return _decoded(item.picture)
        with self._lock:
            return self._images.pixels(item.place)

    def _nearest(self, item: Item, pixels: Images) -> list[dict[str, object]]:
        nearest = self._evidence.nearest(item, pixels)
        with self._lock:
            places = [Place("train", each.position) for each in nearest]
            return [
                {
                    "position": place.position,
                    "label": self._images.label(place),
                    "file": self._images.file(place),
                    "likeness": each.likeness,
                }
                for place, each in zip(places, nearest, strict=True)
            ]

    def _original(self, item: Item) -> tuple[bytes, str] | None:
        """The file of the image and its media type, where it is a file of a folder, as it was, that browsers show."""
        source = self.subject.record.source
        file = self._images.file(item.place) if item.place else ""
        if not file or select.is_name(source):
            return None
        try:
            with open_regular(Path(source, file)) as stream:
                content = stream.read(LARGEST + 1)
        except OSError:
            return None
        kind = next((kind for start, kind in SHOWN.items() if content.startswith(start)), "")
        unchanged = hashlib.sha256(content).hexdigest() == item.labels[0][0]
        return (content, kind) if kind and unchanged else None


def _decoded(picture: bytes) -> Images:
    with Image.open(io.BytesIO(picture)) as image:
        array: Images = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return array[..., None] if array.ndim == 2 else array


def _described(item: Item) -> Mapping[str, object]:
    return {
        "id": item.id,
        "given": item.given,
        "names": item.names,
        "reasons": [asdict(reason) for reason in item.reasons],
        "proposal": item.proposal,
    }
