"""Text that leaves the process: neither credentials nor characters that a stream, a file or a database refuses."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigError, DataRejected
from components.public_text import link, passwords, printable, public, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:5000/x", "http://***@host:5000/x"),
        ("postgresql://u:p@ss@host/db and s3://key:se/cret@bucket/x", "postgresql://***@host/db and s3://***@bucket/x"),
        ("https://ghp_token@github.com/a", "https://***@github.com/a"),
        ("https://host/x?timeout=60&token=abc", "https://host/x?timeout=60&token=***"),
        ("s3://b/k?X-Amz-Signature=ab&x=1", "s3://b/k?X-Amz-Signature=***&x=1"),
        ("'http://u:s@h' is not 'https://v:t@h?api_key=k'", "'http://***@h' is not 'https://***@h?api_key=***'"),
    ],
)
def test_credentials_in_addresses_are_hidden(text: str, shown: str) -> None:
    """Wherever in a sentence the address stands; what else it says stays."""
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/a@b",
        "http://[::1]:5000/a@b",
        "s3://bucket/folder@2",
        "models:/digits-classifier@champion",
        "see https://host/x or ask me@example.org",
        "train.epochs=3 --set ingest.source=/data/a",
        "https://host/x?timeout=60",
    ],
)
def test_an_address_without_credentials_stays_as_it_is(text: str) -> None:
    """Ports, aliases, versions and mail addresses are no logins."""
    assert redacted(text) == text


def test_names_that_are_no_utf_8_and_control_characters_become_letters() -> None:
    """A byte as \\x and its two digits, as `ls` writes it; line breaks and tabs are layout."""
    name = os.fsdecode(b"notes-\xe9.txt")
    assert printable(f"{name}\x1b[2J\x00\r\n\tä 猫") == "notes-\\xe9.txt\\x1b[2J\\x00\\x0d\n\tä 猫"


@given(
    st.recursive(
        st.text(st.characters()) | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_public_is_utf_8_and_stays_as_it_is(value: object) -> None:
    """Every text can be written, and passing it on twice changes nothing."""
    shown = public(value)
    json.dumps(shown, ensure_ascii=False).encode()
    assert public(shown) == shown


def test_the_text_of_a_failure_is_public() -> None:
    """A message, a record, a log and a notification quote it."""
    assert str(DataRejected("notes-\udce9.txt of http://u:s@h")) == "notes-\\xe9.txt of http://***@h"
    assert ConfigError("a\udce9\nb", "http://u:s@h").problems == ("a\\xe9", "b", "http://***@h")


def test_the_passwords_of_addresses_are_found() -> None:
    """For the mask of Airflow's logs; what is no address, or a broken one, is passed over."""
    values = [
        "postgresql://user:secret@host/db",
        "http://[broken",
        "C:/x",
        "",
        "http://host:5000",
        "https://token@host",
    ]
    assert list(passwords(values)) == ["secret"]


def test_a_link_has_no_login() -> None:
    """A browser asks for it where it is needed."""
    assert link("https://user:secret@host:5000/mlflow/?token=t#x") == "https://host:5000/mlflow/"
