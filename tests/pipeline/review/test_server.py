"""The server of a review: what it answers to its page, and to nobody else."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data.corrections import Corrections
from tests.conftest import command
from tests.support.review_process import CLASSES, ReviewProcess, reviewing


def queue(review: ReviewProcess) -> dict[str, Any]:
    document: dict[str, Any] = review.get("queue").json
    return document


def first(review: ReviewProcess, kind: str) -> dict[str, Any]:
    """The first item of a *kind*."""
    found: dict[str, Any] = next(
        item for item in queue(review)["items"] if kind in {reason["kind"] for reason in item["reasons"]}
    )
    return found


def evaluated(home: Path, file: str) -> list[float]:
    """The five highest probabilities that evaluate has written for the test image *file*."""
    (names,), (predictions,) = (
        list(home.glob(f"artifacts/{each}")) for each in ("ingest/*/files.json", "evaluate/*/*.npy")
    )
    position = json.loads(names.read_text())["test"].index(file)
    highest: list[float] = np.sort(np.load(predictions)[position])[::-1][:5].tolist()
    return highest


def corrections(home: Path) -> Corrections:
    return Corrections.read(home / "corrections" / "figures.jsonl")


def decide(review: ReviewProcess, item: str, choice: str, label: str = "", seen: int = 0) -> Any:
    return review.post("decide", {"id": item, "choice": choice, "label": label, "seen": seen}).json


def test_the_queue_has_suspects_mistakes_and_copies_under_two_labels(undecided: ReviewProcess) -> None:
    """Each with its labels and the class that is proposed."""
    shown = queue(undecided)
    assert shown["model"] == "figures-classifier"
    assert {reason["kind"] for item in shown["items"] for reason in item["reasons"]} == {
        "suspect",
        "mistake",
        "conflict",
    }
    assert set(first(undecided, "conflict")["given"]) in ({"one", "two"}, {"three", "four"})
    suspects = [item for item in shown["items"] if item["reasons"][0]["kind"] == "suspect" and len(item["given"]) == 1]
    assert len(suspects) > 5
    assert all(item["proposal"] in CLASSES and item["proposal"] not in item["given"] for item in suspects)
    assert shown["decisions"] == {}
    assert shown["retrain"].endswith("--set train.epochs=2 --set train.model=dense")


def test_an_image_is_shown_with_probabilities_and_its_nearest_neighbours(
    undecided: ReviewProcess, reviewed: Path
) -> None:
    """Of the test split as they were evaluated; others by the exported model. The picture is the file itself."""
    for kind, split in (("mistake", "test"), ("suspect", "train")):
        item = next(
            item for item in queue(undecided)["items"] if item["reasons"][0]["kind"] == kind
            and (split == "test" or "nearest images" in item["reasons"][0]["text"])
        )  # fmt: skip
        details = undecided.get(f"details/{item['id']}").json
        shares = [share for _, share in details["probabilities"]]
        assert shares == sorted(shares, reverse=True)
        assert len(shares) == 5
        assert sorted(details["order"]) == sorted(CLASSES)
        assert kind == "suspect" or shares == evaluated(reviewed, item["names"][0])
        assert len(details["neighbours"]) == 8
        assert item["names"][0] not in {each["file"] for each in details["neighbours"]}
        picture = undecided.get(f"pictures/{item['id']}")
        assert picture.body == (reviewed / "figures" / item["names"][0]).read_bytes()
        assert picture.headers["content-type"] == "image/png"
        nearest = undecided.get(f"neighbours/{details['neighbours'][0]['position']}")
        assert Image.open(io.BytesIO(nearest.body)).size == (28, 28)


def test_a_file_that_has_changed_is_not_shown_as_the_image(undecided: ReviewProcess, reviewed: Path) -> None:
    """But what the run has read."""
    item = first(undecided, "mistake")
    file = reviewed / "figures" / item["names"][0]
    content = file.read_bytes()
    try:
        file.write_bytes(b"\x89PNG, something else")
        shown = np.asarray(Image.open(io.BytesIO(undecided.get(f"pictures/{item['id']}").body)))
    finally:
        file.write_bytes(content)
    np.testing.assert_array_equal(shown, np.asarray(Image.open(io.BytesIO(content))))


def test_a_decision_is_on_the_disk_when_it_is_answered(review: ReviewProcess, figures: Path) -> None:
    """With the counts that the page shows."""
    item = first(review, "suspect")
    answer = decide(review, item["id"], "relabel", item["proposal"])
    assert answer["decision"]["label"] == item["proposal"]
    assert answer["counts"] == {"relabelled": 1, "dropped": 0, "pictures": 0}
    assert corrections(figures).effective == {item["id"]: {item["given"][0]: item["proposal"]}}
    undone = review.post("undo", {"id": item["id"], "seen": answer["decision"]["line"]}).json
    assert undone == {"decision": None, "counts": {"relabelled": 0, "dropped": 0, "pictures": 0}}
    assert corrections(figures).effective == {}


def test_two_reviews_at_once_see_each_other(review: ReviewProcess, figures: Path) -> None:
    """The second process refuses to decide about what its page shows as open, and says what it is by now."""
    item = first(review, "suspect")["id"]
    with reviewing(figures) as other:
        decide(review, item, "drop")
        refused = other.post("decide", {"id": item, "choice": "keep", "seen": 0})
        assert refused.status == 409
        assert refused.json["decisions"][item]["choice"] == "drop"
        assert "decided about elsewhere" in refused.json["error"]
        line = other.get("state").json["decisions"][item]["line"]
        assert decide(other, item, "keep", seen=line)["decision"]["choice"] == "keep"
    assert review.get("state").json["decisions"][item]["choice"] == "keep"
    assert corrections(figures).disagreeing == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8090"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_length": "1000000"}, 413),
        ({"content_length": "-1"}, 413),
    ],
)
def test_pages_of_other_sites_decide_nothing(undecided: ReviewProcess, headers: dict[str, str], status: int) -> None:
    """Nor do programs that do not know what is expected."""
    item = first(undecided, "suspect")["id"]
    answer = undecided.post("decide", {"id": item, "choice": "drop", "seen": 0}, **headers)
    assert answer.status == status


def test_who_does_not_know_the_address_sees_nothing(undecided: ReviewProcess) -> None:
    """No path without the token answers; a sentence says what to open."""
    for path in ("/", "/queue", f"/{'x' * 22}/queue", "//queue", "/%00/", "/..%2f/"):
        answer = undecided.ask("GET", "", full=path)
        assert answer.status == 404
        assert "open the address" in answer.json["error"]
    answer = undecided.ask("GET", "", full="/", accept="text/html")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body.startswith(b"there is no such page")
    assert undecided.get("", host="evil.example").status == 403
    assert undecided.get("queue", sec_fetch_site="cross-site").status == 403
    assert undecided.get("", sec_fetch_site="cross-site").status == 200  # a link to the page


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("decide", b"nonsense"),
        ("decide", b"[]"),
        ("decide", b"[" * 9000),
        ("decide", b'{"id": 3, "choice": "drop", "seen": 0}'),
        ("decide", b'{"id": "ITEM", "choice": "burn", "seen": 0}'),
        ("decide", b'{"id": "ITEM", "choice": "relabel", "label": "cow", "seen": 0}'),
        ("decide", b'{"id": "ITEM", "choice": "relabel", "seen": 0}'),
        ("decide", b'{"id": "ITEM", "choice": "drop", "seen": "0"}'),
        ("decide", b'{"id": "nobody", "choice": "drop", "seen": 0}'),
        ("elsewhere", b'{"id": "ITEM", "choice": "drop", "seen": 0}'),
        ("undo", b'{"id": "ITEM", "seen": 7}'),
    ],
)
def test_what_cannot_be_done_is_answered_in_a_sentence(undecided: ReviewProcess, path: str, body: bytes) -> None:
    """And does nothing; the server goes on."""
    item = first(undecided, "suspect")["id"]
    answer = undecided.ask("POST", path, body.replace(b"ITEM", item.encode()), content_type="application/json")
    assert 400 <= answer.status < 500
    assert len(answer.json["error"]) > 10
    assert undecided.get("queue").status == 200


def test_what_is_not_there_is_answered_in_a_sentence(undecided: ReviewProcess) -> None:
    """The pictures of a review are those of its images."""
    for path in (
        "neighbours/999999",
        "neighbours/-1",
        "neighbours/x",
        "details/none",
        "pictures/",
        "pixels/..",
        "other",
    ):
        answer = undecided.get(path)
        assert answer.status == 404, path
        assert answer.json["error"]


def test_the_process_is_small(undecided: ReviewProcess) -> None:
    """Neither TensorFlow nor MLflow nor pandas is loaded, also once the model has answered."""
    undecided.get(f"details/{first(undecided, 'conflict')['id']}")
    (child,) = Path(f"/proc/{undecided.pid}/task/{undecided.pid}/children").read_text().split()
    loaded = Path(f"/proc/{child}/maps").read_text()
    assert "litert" in loaded
    assert not re.search(r"tensorflow|pandas|sklearn|onnxruntime", loaded)


def test_a_line_that_is_no_decision_is_named_on_the_page(review: ReviewProcess, figures: Path) -> None:
    """Where somebody edits the file meanwhile."""
    item = first(review, "suspect")["id"]
    decide(review, item, "drop")
    with (figures / "corrections" / "figures.jsonl").open("a") as file:
        file.write("nonsense\n")
    answer = review.get("state")
    assert answer.status == 500
    assert "figures.jsonl, line 2 is 'nonsense'; expected" in answer.json["error"]


def test_at_the_end_it_says_what_to_do_next(figures: Path) -> None:
    """The number of corrections, their file and the command; the command trains with them."""
    printed: list[str] = []
    with reviewing(figures, output=printed) as review:
        decide(review, first(review, "suspect")["id"], "drop")
    assert re.match(r"\d+ images to review: http://127.0.0.1:\d+/", printed[0])
    file = figures / "corrections" / "figures.jsonl"
    assert printed[-1].startswith(f"1 correction in {file}; retrain with ")
    assert "-m pipeline run --source" in printed[-1]


def test_images_without_files_are_reviewed_too(home: Path) -> None:
    """Identified by their pixels; the digits come from no folder."""
    with reviewing(home) as review:
        item = first(review, "mistake")
        assert item["names"][0].startswith("test image ")
        picture = Image.open(io.BytesIO(review.get(f"pictures/{item['id']}").body))
        assert picture.size == (28, 28)
        decide(review, item["id"], "drop")
    done = command(home, "explain", "--json", "--source", "digits", "ingest")
    assert json.loads(done.stdout)[0]["verdict"] != "reuse"


def refused(home: Path, *arguments: str) -> str:
    """The sentence of a review that does not begin."""
    done = command(home, "review", *arguments)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_port_that_is_taken_is_said_with_the_command_for_another(undecided: ReviewProcess, figures: Path) -> None:
    """Before anything is read."""
    port = undecided.url.split(":")[2].partition("/")[0]
    assert f"port {port} on 127.0.0.1 cannot be listened on" in (said := refused(figures, "--port", port))
    assert f"make review REVIEW_PORT={int(port) + 1}" in said


def test_a_workspace_where_nothing_can_be_kept_is_not_reviewed(figures: Path) -> None:
    """It is said before a user has decided about a hundred images: here a file is in the way of the folder."""
    (figures / "corrections").write_text("in the way")
    said = refused(figures)
    assert said.startswith(
        f"error: corrections cannot be written to {figures}/corrections (File exists); make it writable"
    )


def test_where_there_is_nothing_to_review_it_says_so(figures: Path) -> None:
    """With a run whose evaluation is perfect; here its lists are emptied."""
    from pipeline.home import Home
    from pipeline.review.session import Review
    from pipeline.review.subject import find

    home = Home(figures)
    subject = find(home)
    for stage in ("evaluate", "validate"):
        (subject.folders[stage] / "problems.csv").unlink()
    assert Review(home, subject).items == {}
