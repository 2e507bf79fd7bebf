"""What `train.augment` may say: one spelling for one meaning, and everything that is wrong told at once."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigError
from components.settings.augmentation import KINDS, canonical, strengths
from components.settings.sections import Train
from pipeline import config

CHOICES = st.dictionaries(st.sampled_from(sorted(KINDS)), st.floats(0, 0.5))
SPACE = st.sampled_from(["", " ", "  "])


@given(CHOICES, SPACE, st.randoms())
def test_texts_that_mean_the_same_have_one_spelling(choice: dict[str, float], space: str, random: object) -> None:
    """Order and white space are nothing, a strength of 0 is none, and the spelling is its own spelling."""
    names = sorted(choice)
    random.shuffle(names)  # type: ignore[attr-defined]
    text = f"{space},{space}".join(f"{space}{name}{space}={space}{choice[name]!r}{space}" for name in names)
    assert strengths(text) == {name: value for name, value in choice.items() if value}
    assert canonical(text) == canonical(",".join(f"{name}={choice[name]!r}" for name in sorted(names)))
    assert canonical(canonical(text)) == canonical(text)


def test_a_section_holds_the_one_spelling() -> None:
    """So equal meanings are equal settings, and give equal keys."""
    assert Train(augment="shift=0.10, rotate=10") == Train(augment="rotate=10.0,shift=.1,zoom=0")
    assert Train(augment="shift=0.10, rotate=10").augment == "rotate=10,shift=0.1"
    assert Train(augment="none") == Train(augment=" ") == Train(augment="zoom=0") == Train()


def test_a_bare_name_has_the_usual_strength_written_out() -> None:
    """Were the usual strength another one day, the key would be another too."""
    assert canonical("elastic,rotate") == f"rotate={KINDS['rotate'].default},elastic={KINDS['elastic'].default}"
    assert all(0 < kind.default <= kind.maximum for kind in KINDS.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rotatoin=10", "no augmentation is called 'rotatoin' (did you mean 'rotate'?)"),
        ("Shift", "no augmentation is called 'Shift' (did you mean 'shift'?)"),
        ("xyz", "no augmentation is called 'xyz' (expected some of rotate, shift, zoom, shear, elastic, erase)"),
        ("shift=2", "shift is '2', expected 0 to 0.5 (share of the side), such as shift=0.1"),
        ("rotate=-5", "rotate is '-5', expected 0 to 180 (degrees), such as rotate=10"),
        ("zoom=nan", "zoom is 'nan', expected 0 to 0.9"),
        ("erase=", "erase is '', expected 0 to 0.9"),
        ("rotate=10%", "rotate is '10%', expected 0 to 180"),
        ("zoom=0,zoom=0.1", "zoom stands there twice"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_what_was_expected(text: str, said: str) -> None:
    """Names with a suggestion, strengths with their bounds and unit."""
    with pytest.raises(ConfigError) as raised:
        Train(augment=text)
    assert raised.value.problems[0].startswith(f"train.augment is '{text}'; {said}")


def test_it_is_told_with_all_other_problems_at_once() -> None:
    """Two slips in the text and one in another setting are one message."""
    with pytest.raises(ConfigError) as raised:
        config.load("", ["train.augment=zom,shift=1", "train.epochs=0"], "digits", {})
    augment, epochs = raised.value.problems
    assert "'zom'" in augment
    assert ", and shift is '1'" in augment
    assert epochs.startswith("train.epochs is 0")


@given(st.text("rotateshifzom=,.-+eE0123456789 \n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised, and what is read is within its bounds."""
    with contextlib.suppress(ValueError):
        assert all(0 < value <= KINDS[name].maximum for name, value in strengths(text).items())
