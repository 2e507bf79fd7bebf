"""The page of a review in a real browser: its keys, what they write, and what it shows of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Page, browser
from tests.support.review_process import CLASSES, ReviewProcess, reviewing

WIDTHS = pytest.mark.parametrize("width", [1440, 390])


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory, review: ReviewProcess) -> Iterator[Page]:
    """The page, which has said nothing to its console, and broken no rule of its policy, at the end of the test.

    That two reviews met is a response that Chromium writes there.
    """
    with browser(tmp_path_factory.mktemp("browser")) as page:
        page.open(review.url)
        ready(page)
        yield page
        assert [said for said in page.complaints() if "409 (Conflict)" not in str(said)] == []


def ready(page: Page) -> str:
    """The id of the image that is shown, once what takes longer is there too."""
    page.wait("['review', 'nearest'].every(name => document.getElementById(name)?.hidden === false)")
    return str(page.run("location.hash.slice(1)"))


def reload(page: Page) -> None:
    page.run("window.before = true")
    page.call("Page.reload")
    page.wait("!window.before")
    ready(page)


def press(page: Page, key: str) -> None:
    """Press a key that types a character, as a keyboard does."""
    page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=key)


def decided(page: Page, count: int) -> str:
    """The next image, once *count* images are decided."""
    page.wait(f"document.getElementById('count').textContent.endsWith(', {count} decided')")
    return ready(page)


def lines(home: Path) -> list[dict[str, Any]]:
    file = home / "corrections" / "figures.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def count(page: Page) -> str:
    return str(page.run("document.getElementById('count').textContent"))


def shown(page: Page, name: str) -> str:
    return str(page.run(f"document.getElementById('{name}').textContent"))


def every(selector: str) -> str:
    return f"[...document.querySelectorAll('{selector}')].every"


def given(page: Page) -> str:
    return str(page.run("document.querySelector('#labels b').textContent"))


def choose(page: Page, name: str, value: str) -> None:
    """Choose *value* in the list *name*."""
    page.run(f"(() => {{ const list = document.getElementById('{name}'); list.value = '{value}';"
             "list.dispatchEvent(new Event('change')); })()")  # fmt: skip


def test_it_loads_nothing_from_elsewhere(review: ReviewProcess) -> None:
    """No address in it, and a policy that lets it run its own script only."""
    answer = review.get("")
    assert b"http" not in answer.body
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_each_key_writes_its_decision(page: Page, figures: Path) -> None:
    """Keep, relabel to the proposal, to a place in the list and to a name, drop: in this order, by this user."""
    total = int(count(page).split()[2].rstrip(","))
    assert count(page) == f"1 of {total}, 0 decided"
    first, label = ready(page), given(page)
    press(page, "k")
    second, proposal = decided(page, 1), shown(page, "labels").rpartition(" ")[2]
    press(page, "r")
    page.press("Enter")
    third = decided(page, 2)
    press(page, "r")
    page.wait("document.querySelectorAll('#options li').length === 9")
    place = str(page.run("document.querySelectorAll('#options li span')[2].textContent"))
    press(page, "3")
    fourth = decided(page, 3)
    press(page, "r")
    page.wait("document.querySelectorAll('#options li').length === 9")
    ranked = page.run("[...document.querySelectorAll('#options li span')].map(e => e.textContent)")
    firsts = ((letter, [name for name in ranked if name.startswith(letter)][:1]) for letter in "enot")
    letter, (other,) = next(
        (letter, first) for letter, first in firsts if first and first[0] != next(n for n in ranked if letter in n)
    )
    press(page, letter.upper())
    page.press("Enter")
    fifth = decided(page, 4)
    press(page, "d")
    assert decided(page, 5) not in {first, second, third, fourth, fifth}
    assert [(line["sha256"], line["new"]) for line in lines(figures)] == [
        (first, label), (second, proposal), (third, place), (fourth, other), (fifth, None),
    ]  # fmt: skip
    assert all("@" in line["who"] for line in lines(figures))
    assert count(page) == f"6 of {total}, 5 decided"
    assert shown(page, "so-far") == "4 corrections so far."


def test_what_is_undone_is_shown_again(page: Page, figures: Path) -> None:
    """The last decision first, also after a reload; then there is nothing left to undo."""
    first = ready(page)
    press(page, "d")
    second = decided(page, 1)
    press(page, "k")
    decided(page, 2)
    reload(page)
    press(page, "u")
    assert decided(page, 1) == second
    press(page, "u")
    assert decided(page, 0) == first
    press(page, "u")
    page.shows("There is nothing to undo here")
    assert [line.get("undo", False) for line in lines(figures)] == [False, False, True, True]


def test_after_a_reload_only_open_images_are_shown(page: Page) -> None:
    """And those that are decided where a user asks for them, with what was decided."""
    first = ready(page)
    press(page, "d")
    second = decided(page, 1)
    page.run("history.replaceState(null, '', location.pathname)")  # where a new tab begins
    reload(page)
    assert decided(page, 1) == second
    page.press("ArrowLeft")
    page.wait(f"location.hash === '#{first}'")
    page.shows("Decided: dropped, by ")
    page.press("ArrowRight")
    page.wait(f"location.hash === '#{second}'")
    page.click("#decided")
    choose(page, "filter", "")
    page.wait(f"location.hash === '#{first}'")
    press(page, "u")
    page.wait("document.getElementById('count').textContent.endsWith(', 0 decided')")


def test_a_skipped_image_comes_back_at_the_end(page: Page, figures: Path) -> None:
    """Which says what was decided and what to do next; nothing is written about what was skipped."""
    choose(page, "filter", "conflict")
    page.wait("document.getElementById('count').textContent === '1 of 2, 0 decided'")
    first = ready(page)
    press(page, "s")
    page.wait(f"location.hash !== '#{first}'")
    second = ready(page)
    press(page, "r")
    page.press("Enter")
    page.shows(
        "That was the last one", "1 image decided, 1 skipped.", "1 correction (1 relabelled, 0 dropped); retrain"
    )
    assert "-m pipeline run --source" in shown(page, "next")
    assert {line["sha256"] for line in lines(figures)} == {second}
    page.click("#again")
    assert decided(page, 1) == first
    press(page, "d")
    page.shows("All 2 images of this list are decided", "2 of 2 decided", "Show all lists: ")
    assert [line["new"] for line in lines(figures) if line["sha256"] == first] == [None, None]
    page.click("#others")
    page.wait("document.getElementById('filter').value === '' && !document.getElementById('review').hidden")


def test_a_decision_taken_elsewhere_is_said_and_kept(page: Page, figures: Path) -> None:
    """Two processes review at once: what one of them shows as open was decided about in the other."""
    item = ready(page)
    with reviewing(figures) as other:
        other.post("decide", {"id": item, "choice": "drop", "seen": 0})
        press(page, "k")
        page.shows("this image was decided about elsewhere meanwhile", "Decided: dropped, by ")
    assert [line["new"] for line in lines(figures)] == [None]
    press(page, "k")
    decided(page, 1)
    assert [line.get("new", "undo") for line in lines(figures)][:2] == [None, "undo"]


# Holds answers about what was decided elsewhere back until `release` is called; `read` of them have been read then.
DELAYED = """(() => { const real = fetch, held = []; window.read = 0;
  window.release = () => { held.reverse().forEach(done => done()); return held.length; };
  window.fetch = async (path, options) => {
    const response = await real(path, options);
    if (path !== "state") return response;
    await new Promise(done => { held.push(done); window.waiting = true; });
    const json = async () => { const answer = await response.json(); window.read++; return answer; };
    return { ok: response.ok, json };
  };
  window.dispatchEvent(new Event("focus")); })()"""


def test_an_answer_that_is_older_than_a_decision_does_not_hide_it(page: Page) -> None:
    """The page asks what was decided elsewhere whenever it is looked at; the answer can come late."""
    page.run(DELAYED)
    page.wait("window.waiting")
    press(page, "k")
    decided(page, 1)
    page.wait(f"window.read === {page.run('release()')}")
    assert page.run("Object.keys(queue.decisions).length") == 1
    assert count(page).endswith(", 1 decided")


def test_a_held_key_decides_once(page: Page, figures: Path) -> None:
    """And a key beside Ctrl, or in the list of filters, decides nothing."""
    nothing = "!busy && !Object.keys(queue.decisions).length"
    page.call("Input.dispatchKeyEvent", type="rawKeyDown", key="k", modifiers=2)
    assert page.run(nothing)
    page.run("document.getElementById('filter').focus()")
    page.press("k")
    assert page.run(nothing)
    page.run("document.getElementById('filter').blur()")
    page.call("Input.dispatchKeyEvent", type="rawKeyDown", key="k")
    decided(page, 1)
    for _ in range(5):
        page.call("Input.dispatchKeyEvent", type="rawKeyDown", key="k", autoRepeat=True)
    page.call("Input.dispatchKeyEvent", type="keyUp", key="k")
    press(page, "s")
    page.wait("document.getElementById('count').textContent.startsWith('3 of')")
    assert len(lines(figures)) == 1


@WIDTHS
def test_it_fits_the_screen(page: Page, width: int, figures: Path) -> None:
    """Without scrolling sideways; buttons are large enough for a finger, and decide as the keys do."""
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=640, deviceScaleFactor=1, mobile=False)
    reload(page)
    first = ready(page)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run(f"{every('button, select')}(e => !e.offsetParent || e.offsetHeight >= 44)")
    assert page.run(f"{every('.buttons button')}(e => e.getBoundingClientRect().bottom <= innerHeight)")
    page.click("#accept")
    decided(page, 1)
    page.click("#relabel")
    page.wait("document.querySelectorAll('#options li').length >= 9")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.run("document.querySelectorAll('#options li')[1].click()")
    decided(page, 2)
    page.click("#drop")
    decided(page, 3)
    page.click("#undo")
    decided(page, 2)
    assert lines(figures)[0]["sha256"] == first
    assert [line.get("undo", False) for line in lines(figures)] == [False, False, False, True]


def test_a_screen_reader_reads_what_is_shown(page: Page) -> None:
    """Which image of how many, its label, what the model says and why; the picture has a text, the list a role."""
    said = shown(page, "say")
    assert said.startswith("1 of ")
    assert f"labelled {given(page)}, the model says " in said
    assert str(page.run("document.getElementById('picture').alt")) == f"The picture, labelled {given(page)}"
    press(page, "r")
    page.wait("document.activeElement.getAttribute('role') === 'combobox'")
    page.press("ArrowDown")
    page.wait(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).ariaSelected === 'true'"
    )
    assert page.run("document.activeElement.getAttribute('aria-activedescendant')") == "option-1"
    page.press("Escape")
    page.wait("document.getElementById('chooser').hidden")
    assert {str(name) for name in page.run("[...document.querySelectorAll('#strip b')].map(e => e.textContent)")} <= {
        *CLASSES
    }


def test_it_is_dark_where_the_system_is(page: Page) -> None:
    """Text and paper change together."""
    colours = "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    light = page.run(colours)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.wait(f"JSON.stringify({colours}) !== {json.dumps(json.dumps(light, separators=(',', ':')))}")
    assert all(before != after for before, after in zip(light, page.run(colours), strict=True))


def test_where_the_review_has_ended_the_page_says_how_to_go_on(
    tmp_path_factory: pytest.TempPathFactory, figures: Path
) -> None:
    """Nothing that was decided is lost, and nothing is shown as decided that is not."""
    with browser(tmp_path_factory.mktemp("browser")) as page:
        with reviewing(figures) as review:
            page.open(review.url)
            item = ready(page)
        press(page, "d")
        page.shows("The review does not answer. Start it again with make review")
        assert page.run("location.hash.slice(1)") == item
        assert lines(figures) == []
