"""Free and taken TCP ports on the loopback interface."""

import random
import socket

_dice = random.SystemRandom()  # tests seed the other, and would all draw the same port


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:``port``. Raises PermissionError for a port we may not use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: an old connection does not count
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except PermissionError:
            raise
        except OSError:
            return False
    return True


def any_free() -> int:
    """Return a port nobody listens on just now; somebody may take it before you do.

    It lies below those that systems lend to outgoing connections, so that no passing connection takes it by chance.
    """
    while True:
        port = _dice.randrange(20000, 32768)
        if is_free(port):
            return port
