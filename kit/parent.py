"""Processes that end when their parent is gone, so that a crashed run leaves nothing to be cleaned up.

Nobody is ever signalled by a number but the process itself.
"""

import os
import signal
import threading
import time

_EVERY_S = 0.5
_GRACE_S = 5.0


def end_with_parent() -> None:
    """Watch the present parent from a thread; when it is gone, end this process: politely, then at once."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
