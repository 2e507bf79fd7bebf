"""Runs the tests of the server at SOCKET once: python -IS client.py SOCKET; ends with their status."""

import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    sys.exit((connection.recv(1) or b"\x62")[0])
