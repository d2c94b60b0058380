"""Ports on the loopback interface: free ones, and sockets that hold theirs."""

import socket

LOOPBACK = "127.0.0.1"
MAX_PORT_TRIES = 5
"""How often a server that lost its port to another program is started at others."""
BACKLOG = 2048
"""Connections that wait while the process that serves a socket is started again."""


def _bound(port: int) -> socket.socket:
    """A socket at that port, 0 for any; raises OSError if another program has it."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # without it a port stays taken for a minute after its last connection was closed
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
    except OSError:
        made.close()
        raise
    return made


def is_free(port: int) -> bool:
    """Whether nobody listens at that port."""
    try:
        _bound(port).close()
    except OSError:
        return False
    return True


def free_port(preferred: int = 0) -> int:
    """The preferred port if nothing listens there, otherwise one that the system chooses.

    Nobody holds it: another program may take it before it is used. `listening` holds its own.
    """
    for candidate in (preferred, 0):
        try:
            probe = _bound(candidate)
        except OSError:
            continue
        with probe:
            port: int = probe.getsockname()[1]
            return port
    raise OSError("no port is free on the loopback interface")


def listening(preferred: int = 0) -> socket.socket:
    """A socket that listens at the preferred port, or at one that the system chooses where that is taken.

    From then on the port is ours: whoever is to serve it inherits the socket.
    """
    for port in (preferred, 0):
        try:
            made = _bound(port)
        except OSError:
            continue
        try:
            made.listen(BACKLOG)
        except OSError:  # a program that had bound it too has begun to listen in between
            made.close()
            continue
        return made
    raise OSError("no port is free on the loopback interface")
