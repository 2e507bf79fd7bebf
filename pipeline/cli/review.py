"""Command review: a page on which the labels of suspected images are kept, corrected or dropped."""

import secrets
from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from components.errors import StorageFailed
from components.printed_commands import with_interpreter
from components.progress import say
from components.system.streams import answer
from pipeline.cli import completion
from pipeline.cli.options import SETTINGS, Option, command, home

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.home import Home
    from pipeline.review.session import Review
    from pipeline.review.subject import Subject

PORT = 8090


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text!r}; expected a port, 1 to 65535")
    return int(text)


@command(
    "review labels on a page: suspected label errors, mistakes, duplicates, and what users called wrong",
    *SETTINGS[:2],
    Option(
        *("--model", "--name"),
        default="",
        metavar="MODEL",
        completer=completion.models,
        help="registered model whose last run is reviewed (default: the last run of all)",
    ),
    Option("--port", type=_port, default=PORT, help=f"port to listen on (default: {PORT})"),
)
def review(options: Namespace) -> int:
    from components.system.ports import expect_free
    from pipeline.review.server import HOST, Server
    from pipeline.review.session import Review

    workspace = home()
    subject = _subject(options, workspace)
    expect_free(HOST, options.port, "REVIEW_PORT", "make review")
    _expect_writable(subject.corrections.parent)
    session = Review(workspace, subject)
    if not session.items:
        answer(f"nothing to review: run {subject.record.run} of {subject.model} has no suspected label and no mistake")
        return 0
    with Server(options.port, session, secrets.token_urlsafe(16)) as server:
        answer(f"{len(session.items):,} images to review: {server.address}")
        say("  Ctrl-C ends the review; every decision is kept at once")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _conclude(session)
    return 0


def _subject(options: Namespace, workspace: "Home") -> "Subject":
    from pipeline import run_settings
    from pipeline.review.subject import find

    model, source = options.model, ""
    if options.source or options.config:
        settings = run_settings.load((), options.source, options.config)
        model, source = model or settings.register.name, settings.ingest.source
    return find(workspace, model, source)


def _expect_writable(folder: "Path") -> None:
    """Raise StorageFailed where no correction could be written, before anybody has decided about an image."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise StorageFailed(
            f"corrections cannot be written to {folder} ({error.strerror}); make it writable, or set PIPELINE_HOME to "
            "a folder that is"
        ) from None


def _conclude(session: "Review") -> None:
    """Say what the review has come to, and what follows from it."""
    counts = session.decisions.counts()
    corrections = counts.relabelled + counts.dropped
    if corrections:
        kept = f"{corrections:,} correction{'' if corrections == 1 else 's'} in {session.decisions.file}"
        answer(f"{kept}; retrain with {with_interpreter(session.subject.retrain)}")
    else:
        answer("no label was corrected")
