"""A server of the S3 protocol for the tests: moto, in a process of its own, python -m tests.support.s3_server ERROR.

Answers one request after the other, so that a conditional put is atomic, as it is in S3. In the bucket called
"forgetful" it ignores the condition, as servers do that do not know it.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import CLEAN, ROOT
from tests.support import ended_with_us


@contextmanager
def served(log: str = "ERROR") -> Iterator[dict[str, str]]:
    """The environment variables of the server, which holds no bucket yet and prints errors from the level *log* on."""
    command = [sys.executable, "-m", "tests.support.s3_server", log]
    server = ended_with_us.start(command, cwd=ROOT, env=CLEAN, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        url = server.stdout.readline().strip()
        assert url, "the server did not start"
        yield variables(url)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def variables(url: str) -> dict[str, str]:
    """The environment variables that lead to the server at *url*."""
    login = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": url, **login, "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def new_connections() -> Iterator[None]:
    """Clients made in the block read the environment again, and are forgotten at its end: s3fs keeps them by their
    arguments, among which the address of the environment is not."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    try:
        yield
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def main() -> None:
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(sys.argv[1])
    answer = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/forgetful/"):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        return answer(environ, start_response)

    server = make_server("127.0.0.1", 0, application)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
