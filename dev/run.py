"""``python -m dev.run``: the whole shop on this machine, until Ctrl-C.

``--with-parent`` also ends it when the program that started it is gone. ``SHOP_DATA_DIR``, ``SHOP_PORT``,
``SANDBOX_PORT``, ``DATABASE_URL`` (with ``DATABASE_OWNER_URL``) and the ``WECHAT_…`` settings are respected.
While it is ready, ``run.json`` in the data folder says where.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from dev import plan as plans
from dev.folder import Folder
from dev.launch import Launch
from dev.plan import Plan
from dev.stopping import Stopped, Stopping
from dev.trouble import Trouble

_WATCH_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Run until asked to stop. Returns 0 then, 1 after one clear sentence if something is wrong."""
    began = float(os.environ.pop("SHOP_RUN_BEGAN", time.time()))  # the clock starts with `make`, not with us
    stopping = Stopping(with_parent="--with-parent" in arguments)
    try:
        plan = plans.read(os.environ)
        with Folder(plan.data) as folder:
            plans.refuse_taken_ports(plan)
            return _run(Launch(plan, folder, stopping), began)
    except Trouble as trouble:
        _say(f"error: {trouble}", sys.stderr.fileno())
    except OSError as error:
        _say(f"error: {error.strerror}: {error.filename}", sys.stderr.fileno())
    return 1


def _run(launch: Launch, began: float) -> int:
    _say("Starting …")
    try:
        launch.up()
        launch.folder.ready(launch.plan.api, launch.plan.sandbox)
        _say(_summary(launch, time.time() - began))
        while True:
            launch.stopping.pause(_WATCH_SECONDS)
            launch.watch()
    except Stopped:
        _say("Stopping …")
    finally:
        launch.folder.not_ready()
        launch.down()
    _say("Everything is stopped.")
    return 0


def _summary(launch: Launch, seconds: float) -> str:
    plan = launch.plan
    rows = [
        ("API", plan.api),
        ("API documentation", f"{plan.api}/docs"),
        ("Simulated phone", f"{plan.sandbox}/phone"),
        ("Operator sign-in", _operator(plan)),
        (
            "Database",
            "DATABASE_URL" if plan.database_url else f"PostgreSQL 18, addresses in {_near(plan.data)}/database.env",
        ),
        ("Logs", f"{_near(plan.data)}/logs"),
    ]
    start = "first start" if launch.first else "start"
    head = [f"The shop is ready: {start} in {seconds:.1f} s.", *([launch.note] if launch.note else [])]
    return "\n".join(
        ["", *head, "", *(f"  {name:<18} {value}" for name, value in rows), "", "Ctrl-C stops everything.", ""]
    )


def _operator(plan: Plan) -> str:
    """Return login and password of the first operator, which the seeding left in the data folder."""
    path = plan.data / "operator.txt"
    try:
        login, _, password = path.read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        return f"no account was made here ({_near(path)} is missing)"
    return f"login {login}, password {password}"


def _near(path: Path) -> str:
    """Return a path as short as it can be said from here."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _say(text: str, where: int = 1) -> None:
    """Print at once; a console that went away is no reason to fail."""
    with suppress(OSError):
        os.write(where, f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
