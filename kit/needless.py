"""Packages that others import where they happen to be installed, and that a process of ours does not use.

An environment for development has many; each costs the start of a process and the memory of a worker.
"""

import sys


def leave_out(*names: str) -> None:
    """To Python they are not there. Call it before whoever would look for them is imported."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # an import of it is an ImportError then
