"""A local Airflow for the DAGs of this project: python -m pipeline.airflow [--host HOST] [--port PORT]

Starts the API server, the scheduler, the DAG processor, the triggerer and MLflow's UI on loopback, prints the address
and the login, starts those again that end, and ends them all on Ctrl-C.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import util
from types import FrameType

from components.errors import Failure
from components.progress import say
from components.system import streams
from components.system.signals import ENDING, Terminated, exit_status, raise_on_signals


def main(arguments: Sequence[str] | None = None) -> int:
    streams.open_streams()
    parser = argparse.ArgumentParser("python -m pipeline.airflow", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port of the UI (8080)")
    parser.add_argument("--mlflow-port", type=int, default=5000, help="port of MLflow's UI (5000); 0: none")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, _ended)  # which background processes of a shell script ignore
    raise_on_signals(handler=_ended)
    if not util.find_spec("airflow"):
        say(f"error: Airflow is not installed for {sys.executable}; 'make setup' installs it into .venv")
        return 1
    from pipeline.airflow.standalone import serve

    try:
        serve.serve(options.host, options.port, options.mlflow_port)
    except Failure as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        say("Airflow has ended; tasks that were running resume when it is started again")
        return exit_status(interrupt)
    return 0


def _ended(number: int, frame: FrameType | None) -> None:
    for repeated in (signal.SIGINT, *ENDING):
        signal.signal(repeated, signal.SIG_IGN)  # ending takes some seconds
    raise Terminated(number)


if __name__ == "__main__":
    if util.find_spec("airflow"):  # else there is nothing to guard, nor the libraries to do it with
        from components.system import guard

        guard.continue_guarded()
    sys.exit(main())
