"""`python crashing.py serve|work`: the shop, with one function that ends the process at its nth call. For trials only.

`CRASH_AT` is `module:name:before|after|found:n` (`found`: after a call that gave something); what is tried stands in `points`.
`CRASH_MARK` names the file that says it came to that: the process around it may take long to notice.
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
        if when == "before":
            calls += 1
            _die_if(calls == int(nth))
        answer = await real(*args, **named)
        if when == "after" or (when == "found" and answer):  # one that raised is none
            calls += 1
            _die_if(calls == int(nth))
        return answer

    setattr(owner, name, dying)


def _die_if(now: bool) -> None:
    if not now:
        return
    if os.environ.get("CRASH_MARK"):
        Path(os.environ["CRASH_MARK"]).touch()
    os._exit(137)


def application() -> Any:
    """What Granian's process runs: it arms itself, since it is a new one."""
    if os.environ.get("CRASH_AT"):
        arm(os.environ["CRASH_AT"])
    from shop.commands.serve import application  # noqa: PLC0415  (after arming: names are bound at import)

    return application()


def main() -> None:
    if os.environ.get("CRASH_AT"):
        arm(os.environ["CRASH_AT"])
    import shop.__main__  # noqa: PLC0415

    if sys.argv[1] == "serve":
        from shop.commands import serve  # noqa: PLC0415

        serve.Granian = _ours(serve.Granian)
    shop.__main__.main()


def _ours(granian: Any) -> Any:
    def made(_target: str, **named: Any) -> Any:
        if os.environ.get("CRASH_AT"):  # the death itself is what the trial waits for
            named["respawn_failed_workers"] = False
        return granian("crashing:application", **named)

    return made


if __name__ == "__main__":
    main()
