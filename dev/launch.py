"""The order of a run: simulated WeChat and database, migrations, demo shop, API and worker; and back again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from dev import plan as plans
from dev.folder import Folder
from dev.parts import Part, last_words
from dev.plan import Plan
from dev.postgres import Cluster
from dev.stopping import Stopping
from dev.trouble import Trouble


class Launch:
    """Everything that runs in this run. ``down`` may be called at any moment and leaves nothing."""

    def __init__(self, plan: Plan, folder: Folder, stopping: Stopping) -> None:
        self.plan = plan
        self.folder = folder
        self.stopping = stopping
        self.first = False
        self._parts: dict[str, Part] = {}
        self._cluster: Cluster | None = None

    @property
    def note(self) -> str | None:
        """What the person should know about where the database runs."""
        return self._cluster.note if self._cluster else None

    def up(self) -> None:
        """Start everything and return when the API answers. Raises Trouble, Stopped."""
        sandbox = self._start("sandbox", ["sandbox"], self.plan.environment)
        environment = self._open_database()
        sandbox.answers(self.plan.sandbox_port, "/_sandbox/health", self.stopping)
        environment = plans.with_sandbox(environment, self.plan.data / "sandbox" / "merchant.env")
        self._finish("migrate", environment)
        self._seed_once(environment)
        api = self._start("api", ["shop", "serve"], environment)
        self._start("worker", ["shop", "work"], environment)
        api.answers(self.plan.shop_port, "/readyz", self.stopping)
        self.watch()

    def watch(self) -> None:
        """Raise Trouble if a part ended by itself."""
        for part in self._parts.values():
            part.must_run()
        if self._cluster is not None and self._cluster.exit_code() is not None:
            raise Trouble(f"The database ended by itself.{last_words(self._cluster.log)}")

    def down(self) -> None:
        """Stop everything, what others lean on last, and return when it is gone."""
        sandbox = self._parts.pop("sandbox", None)
        for part in self._parts.values():
            part.ask_to_stop()
        for part in self._parts.values():
            part.stop()
        if sandbox is not None:
            sandbox.stop()
        if self._cluster is not None:
            self._cluster.stop()

    def _start(self, name: str, module: list[str], environment: Mapping[str, str]) -> Part:
        self.stopping.check()
        self._parts[name] = part = Part(name, module, self.folder, environment)
        return part

    def _finish(self, command: str, environment: Mapping[str, str]) -> None:
        self._start(command, ["shop", command], environment).finishes(self.stopping)
        del self._parts[command]

    def _open_database(self) -> dict[str, str]:
        """Return the environment with the database's addresses, which the embedded one also leaves in a file."""
        if self.plan.database_url is not None:
            return dict(self.plan.environment)
        self._cluster = Cluster(self.plan.data / "postgres", log=self.folder.log("postgres"))
        self._cluster.start()
        addresses = {"DATABASE_URL": self._cluster.app_url(), "DATABASE_OWNER_URL": self._cluster.owner_url()}
        self.folder.write("database.env", "".join(f"{name}={value}\n" for name, value in addresses.items()))
        return {**self.plan.environment, **addresses}

    def _seed_once(self, environment: Mapping[str, str]) -> None:
        mark = self._seeded_mark()
        if mark.exists():
            return
        self.first = True
        self._finish("seed", environment)
        mark.touch()

    def _seeded_mark(self) -> Path:
        """Return the file that says this very database was seeded: it goes with the embedded one's folder."""
        if self.plan.database_url is None:
            return self.plan.data / "postgres" / "seeded"
        return self.plan.data / f"seeded-{hashlib.sha256(self.plan.database_url.encode()).hexdigest()[:12]}"
