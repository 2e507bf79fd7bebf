"""The text of `train.augment`: one spelling for one meaning, and every problem in one message."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigError
from components.settings.augmentation import KINDS, canonical, strengths, without_effect
from components.settings.sections import Train
from pipeline import config

CHOICES = st.dictionaries(st.sampled_from(sorted(KINDS)), st.floats(0, 0.5))
SPACE = st.sampled_from(["", " ", "  "])


@given(CHOICES, SPACE, st.randoms())
def test_texts_with_the_same_meaning_have_one_spelling(choice: dict[str, float], space: str, random: object) -> None:
    """Order and white space do not matter, a strength of 0 is no kind, and `canonical` leaves its own result alone."""
    names = sorted(choice)
    random.shuffle(names)  # type: ignore[attr-defined]
    text = f"{space},{space}".join(f"{space}{name}{space}={space}{choice[name]!r}{space}" for name in names)
    assert strengths(text) == {name: value for name, value in choice.items() if value}
    assert canonical(text) == canonical(",".join(f"{name}={choice[name]!r}" for name in sorted(names)))
    assert canonical(canonical(text)) == canonical(text)


def test_a_section_holds_the_canonical_spelling() -> None:
    """So texts with the same meaning give the same key."""
    assert Train(augment="shift=0.10, rotate=10") == Train(augment="rotate=10.0,shift=.1,zoom=0")
    assert Train(augment="shift=0.10, rotate=10").augment == "rotate=10,shift=0.1"
    assert Train(augment="none") == Train(augment=" ") == Train(augment="zoom=0") == Train(augment="")


def test_a_bare_name_gets_the_default_strength() -> None:
    """It is written out: if the default changes, the key changes too."""
    assert canonical("elastic,rotate") == f"rotate={KINDS['rotate'].default},elastic={KINDS['elastic'].default}"
    assert all(0 < kind.default <= kind.maximum for kind in KINDS.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rotatoin=10", "no augmentation is called 'rotatoin' (did you mean 'rotate'?)"),
        ("Shift", "no augmentation is called 'Shift' (did you mean 'shift'?)"),
        ("xyz", "no augmentation is called 'xyz' (expected some of rotate, shift, zoom, shear, elastic, flip_horizon"),
        ("flip", "no augmentation is called 'flip' (expected some of rotate"),
        ("flip_horizontal=1", "flip_horizontal is '1', expected 0 to 0.5 (share of the images)"),
        ("hue=1", "hue is '1', expected 0 to 0.5 (share of the circle of colours), such as hue=0.05"),
        ("shift=2", "shift is '2', expected 0 to 0.5 (share of the side), such as shift=0.1"),
        ("rotate=-5", "rotate is '-5', expected 0 to 180 (degrees), such as rotate=10"),
        ("zoom=nan", "zoom is 'nan', expected 0 to 0.9"),
        ("erase=", "erase is '', expected 0 to 0.9"),
        ("rotate=10%", "rotate is '10%', expected 0 to 180"),
        ("zoom=0,zoom=0.1", "zoom is given twice"),
    ],
)
def test_a_wrong_text_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    """Names with a suggestion, strengths with their range and unit."""
    with pytest.raises(ConfigError) as raised:
        Train(augment=text)
    assert raised.value.problems[0].startswith(f"train.augment is '{text}'; {expected}")


def test_all_problems_are_in_one_message() -> None:
    """Two mistakes in the text and one in another setting."""
    with pytest.raises(ConfigError) as raised:
        config.load("", ["train.augment=zom,shift=1", "train.epochs=-1"], "digits", {})
    augment, epochs = raised.value.problems
    assert "'zom'" in augment
    assert ", and shift is '1'" in augment
    assert epochs.startswith("train.epochs is -1")


@given(st.text("rotateshifzom=,.-+eE0123456789 \n", max_size=30))
def test_every_text_is_read_or_refused(text: str) -> None:
    """No other exception is raised, and every strength is within its range."""
    with contextlib.suppress(ValueError):
        assert all(0 < value <= KINDS[name].maximum for name, value in strengths(text).items())


def test_colour_has_no_effect_on_grey_images() -> None:
    """Saturation and hue are what a grey image lacks; light changes in both."""
    text = "rotate,brightness,contrast,hue,saturation"
    assert without_effect(text, 1) == ["saturation", "hue"]
    assert without_effect(text, 3) == without_effect("rotate,contrast", 1) == []
