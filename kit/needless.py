"""Packages that others import where they happen to be installed, and that a process of ours does not use, or not yet.

Each costs the start of a process and the memory of a worker; an environment for development has many.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def leave_out(*names: str) -> None:
    """To Python they are not there. Call it before whoever would look for them is imported."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # an import of it is an ImportError then


def put_off(*names: str) -> None:
    """Import them, which are installed, when something in them is asked for: `from name import …` asks at once."""
    for name in names:
        sys.modules.setdefault(name, _PutOff(name))


class _PutOff(ModuleType):
    """Stands in for a module. (`importlib`'s LazyLoader is of no use here: in Python 3.11 the statement itself asks.)"""

    def __getattr__(self, wanted: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        whole = import_module(self.__name__)
        self.__dict__.update(whole.__dict__)
        return getattr(whole, wanted)
