"""A test that hangs ends its process, and says where it hung: the run goes on, or fails, but does not wait for ever.

Context: a wait that never ends is silent, and whoever waits for the run learns nothing, not even the test's name.
Decision: a thread beside each test; when its time is over it writes the test's name, the stack of every thread and of
every asyncio task, and ends the process (pytest-xdist names the test as failed and starts another worker). Alternatives:
`faulthandler_exit_on_timeout` and pytest-timeout do the same, but show of an asyncio program its event loop only.
"""

import asyncio
import faulthandler
import gc
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

_CODE = 70


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "seconds, fixtures among them, after which a test is held to hang; 0: never"
    parser.addoption("--patience-s", type=float, default=600, help=told)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    seconds = item.config.getoption("--patience-s")
    if not seconds:
        return (yield)
    # Output is captured while a test runs; this is where it went before.
    capture = item.config.pluginmanager.getplugin("capturemanager")
    timer = threading.Timer(seconds, _give_up, (item.nodeid, seconds, capture))
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def _give_up(test: str, seconds: float, capture: object) -> None:
    if capture is not None:
        capture.suspend_global_capture(in_=True)  # type: ignore[attr-defined]
    out = sys.__stderr__ or sys.stderr
    faulthandler.dump_traceback(out, all_threads=True)
    told = [line for task in tasks() for line in (f"Task {task.get_name()}:", *waits_at(task))]
    print("\n".join([*told, f"after {seconds:.0f} s still at it: {test}"]), file=out, flush=True)  # the name last
    os._exit(_CODE)


def tasks() -> list["asyncio.Task[Any]"]:
    """Those under way, of every loop of this process: `asyncio.all_tasks` knows one loop's."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), asyncio.Task) and not thing.done()]


def waits_at(task: "asyncio.Task[Any]") -> list[str]:
    """Where a task waits, innermost last: `Task.print_stack` shows the first of the coroutines only."""
    lines, inner = [], task.get_coro()
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is not None:
            lines.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_qualname}')
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
    return lines
