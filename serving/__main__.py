"""Serve the champion: python -m serving [--model NAME] [--host HOST] [--port PORT] [--set serve.NAME=VALUE]."""

import argparse
import sys
from collections.abc import Sequence

from components.errors import Failure
from components.progress import say
from components.system.ports import expect_free
from components.system.streams import open_streams
from serving import settings
from serving.settings import Settings


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit status."""
    open_streams()
    options = _parser().parse_args(arguments)
    overrides = [f"serve.{name}={value}" for name in ("model", "host", "port") if (value := getattr(options, name))]
    try:
        chosen = settings.read(options.config, [*overrides, *options.set])
        expect_free(chosen.serve.host, chosen.serve.port, "SERVE_PORT", "make serve")
        _serve(chosen)
    except Failure as failure:
        say(f"error: {failure}")
        return failure.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m serving", description="Serve the champion of a registered model.")
    parser.add_argument("--config", default="", help="settings file with a section [serve]")
    parser.add_argument("--model", help="registered model; short for --set serve.model=NAME")
    parser.add_argument("--host", help="address to listen on; short for --set serve.host=HOST")
    parser.add_argument("--port", help="port to listen on; short for --set serve.port=PORT")
    parser.add_argument("--set", action="append", default=[], metavar="serve.NAME=VALUE", help="any other setting")
    return parser


def _serve(chosen: Settings) -> None:
    from serving.assembly import assembled

    what = f"the champion of {chosen.model}" if chosen.model else "the champion"
    server = assembled(chosen)
    say(f"{what} will be at http://{chosen.serve.host}:{chosen.serve.port} (how to ask it: /docs)")
    server.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
