"""`python crashing.py serve|work`: the shop, with one function that ends the process at its nth call. For trials only.

`CRASH_AT` is `module:name:before|after:n`.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))


def arm(spec: str) -> None:
    module_name, path, when, nth = spec.split(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, calls = getattr(owner, name), 0

    async def dying(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == int(nth):
            os._exit(137)
        answer = await real(*args, **named)
        if when == "after" and calls == int(nth):
            os._exit(137)
        return answer

    setattr(owner, name, dying)


def application() -> Any:
    """What Granian's process runs: it arms itself, since it is a new one."""
    if os.environ.get("CRASH_AT"):
        arm(os.environ["CRASH_AT"])
    from shop.__main__ import application  # noqa: PLC0415  (after arming: names are bound at import)

    return application()


def main() -> None:
    if os.environ.get("CRASH_AT"):
        arm(os.environ["CRASH_AT"])
    import shop.__main__  # noqa: PLC0415

    if sys.argv[1] == "serve":
        shop.__main__.Granian = _ours(shop.__main__.Granian)
    shop.__main__.main()


def _ours(granian: Any) -> Any:
    def made(_target: str, **named: Any) -> Any:
        if os.environ.get("CRASH_AT"):  # the death itself is what the trial waits for
            named["respawn_failed_workers"] = False
        return granian("crashing:application", **named)

    return made


if __name__ == "__main__":
    main()
