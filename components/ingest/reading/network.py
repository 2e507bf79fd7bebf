"""Whether an address answers, known within a given number of seconds."""

import threading


def why_unreachable(url: str, seconds: float) -> Exception | None:
    """Why *url* cannot be opened, known after *seconds* at the latest; None where it can.

    It runs in its own thread: no time-out covers the operating system's look-up of a host name.
    """
    results: list[Exception | None] = []
    thread = threading.Thread(target=lambda: results.append(_open(url, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else TimeoutError(f"no answer within {seconds:g} s")


def reason(problem: Exception) -> str:
    """*problem* without urllib's wrapping: "Name or service not known"."""
    cause = getattr(problem, "reason", None) or problem
    return str(getattr(cause, "strerror", None) or cause)


def _open(url: str, seconds: float) -> Exception | None:
    """Open *url*, through the proxies of the environment, and read nothing; returns what went wrong."""
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=seconds):  # noqa: S310 - callers pass web addresses only
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return error
    except (OSError, http.client.HTTPException, ValueError) as error:
        return error
