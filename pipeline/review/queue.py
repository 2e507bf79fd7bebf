"""The images to review, in the order in which they are shown: suspected labels, mistakes, conflicts, users' reports.

An image that is in several of these lists comes once, where it comes first, with every reason. Copies of an image are
one item, whatever they are labelled: what is decided is decided for all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from components.data import problems
from components.data.problems import Problem
from pipeline.review.images import IngestedImages, Place
from pipeline.review.reported import Reported

Kind = Literal["suspect", "mistake", "conflict", "reported"]

OF_EVALUATION: dict[str, Kind] = {problems.SUSPECT: "suspect", problems.MISTAKE: "mistake"}
COPIES = (problems.DUPLICATE, problems.CONFLICT)
LISTED = 5  # copies that are named beside the first
PROPOSING = ("may be ", "predicted ")  # how the detail of a problem begins that names another class


@dataclass(frozen=True)
class Reason:
    """Why an image is in the queue."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Item:
    """One image and its copies; *labels* are (identity, label) of each content and label that they have.

    *place* is the copy that is shown, None for the *picture* of a user, a PNG file.
    """

    id: str
    labels: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    reasons: tuple[Reason, ...]
    proposal: str = ""
    place: Place | None = None
    copies: tuple[Place, ...] = ()
    picture: bytes = b""

    @property
    def given(self) -> list[str]:
        """The labels of the copies, that of the image that is shown first."""
        return list(dict.fromkeys(label for _, label in self.labels))


def proposal(detail: str, classes: Iterable[str]) -> str:
    """The class that the *detail* of a mistake or a suspected label names; "" where it names none of *classes*."""
    rest = next((detail[len(start) :] for start in PROPOSING if detail.startswith(start)), "")
    return next((name for name in classes if rest.startswith(repr(name))), "")


@dataclass
class Queue:
    """Collects the items; an image or a copy of it that is there already gets another reason."""

    images: IngestedImages
    classes: Sequence[str]
    items: dict[str, Item] = field(default_factory=dict)
    _of_place: dict[Place, str] = field(default_factory=dict)
    _copies: dict[Place, list[Place]] = field(default_factory=dict)

    def add(self, evaluated: Sequence[Problem], validated: Sequence[Problem]) -> None:
        """The problems that evaluate found, and the conflicts among those of validate."""
        self._copies = groups(problem for problem in validated if problem.problem in COPIES)
        listed = [problem for kind in OF_EVALUATION for problem in evaluated if problem.problem == kind]
        places = self.images.places(problem.image for problem in listed)
        for problem in listed:
            if place := places.get(problem.image):
                reason = Reason(OF_EVALUATION[problem.problem], problem.detail)
                self._add(place, reason, proposal(problem.detail, self.classes))
        for problem in validated:
            if problem.problem == problems.CONFLICT:
                place = Place(problem.image.split, problem.image.position)
                self._add(place, Reason("conflict", self._labelled(self._copies[place])))

    def report(self, reported: Reported) -> None:
        """The picture that a user called wrong."""
        reason = Reason("reported", reported.reason)
        self.items[reported.sha256] = Item(
            reported.sha256,
            ((reported.sha256, reported.label),),
            (f"a picture of {reported.when}",),
            (reason,),
            reported.answer,
            picture=reported.png,
        )

    def _add(self, place: Place, reason: Reason, proposed: str = "") -> None:
        if known := self._of_place.get(place):
            item = self.items[known]
            kinds = {each.kind for each in item.reasons}
            reasons = item.reasons if reason.kind in kinds else (*item.reasons, reason)
            self.items[known] = replace(item, reasons=reasons, proposal=item.proposal or proposed)
            return
        copies = (place, *(copy for copy in self._copies.get(place, ()) if copy != place))
        labels = tuple(dict.fromkeys((self.images.identity(copy), self.images.label(copy)) for copy in copies))
        item = Item(labels[0][0], labels, tuple(map(self._name, copies)), (reason,), proposed, place, copies)
        self.items[item.id] = item
        self._of_place |= dict.fromkeys(copies, item.id)

    def _labelled(self, copies: Sequence[Place]) -> str:
        """ "cats/1.png is labelled 'cat', dogs/7.png 'dog'"."""
        named = [(self._name(copy), repr(self.images.label(copy))) for copy in copies]
        (first, label), *others = named
        more = len(others) - LISTED
        listed = [f"{first} is labelled {label}", *(f"{name} {label}" for name, label in others[:LISTED])]
        return ", ".join(listed) + (f" and {more:,} more" if more > 0 else "")

    def _name(self, place: Place) -> str:
        return self.images.file(place) or str(place)


def groups(pairs: Iterable[Problem]) -> dict[Place, list[Place]]:
    """Each place with all places of the same image, itself among them, from *pairs* of copies."""
    of_place: dict[Place, list[Place]] = {}
    for problem in pairs:
        if problem.other:
            first, second = (Place(image.split, image.position) for image in (problem.image, problem.other))
            mine, theirs = of_place.setdefault(first, [first]), of_place.setdefault(second, [second])
            if mine is not theirs:
                mine += theirs
                of_place |= dict.fromkeys(theirs, mine)
    return of_place
