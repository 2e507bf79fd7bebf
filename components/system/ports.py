"""Whether a server could listen where it is asked to, checked before it is started."""

import errno
import os
import socket

from components.errors import ConfigError


def expect_free(host: str, port: int, variable: str, command: str = "make airflow") -> None:
    """Raise ConfigError where nothing can listen on *port* of *host*; *command* takes another by *variable*."""
    if not 1 <= port <= 65535:
        raise ConfigError(f"{variable} is {port}; expected a port, 1 to 65535: {command} {variable}=8081")
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        number = error.errno or 0
        if number < 0 or number == errno.EADDRNOTAVAIL:  # negative: the resolver's
            raise ConfigError(
                f"HOST is {host!r}, which is not an address of this machine; expected 127.0.0.1, or 0.0.0.0 to be "
                "reached from other machines: make airflow HOST=0.0.0.0"
            ) from None
        other = port + 1 if 1024 <= port < 65535 else 8081
        raise ConfigError(
            f"port {port} on {host} cannot be listened on ({os.strerror(number)}); choose another one: "
            f"{command} {variable}={other}"
        ) from None
