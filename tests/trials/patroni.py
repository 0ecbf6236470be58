"""Machines with a database under Patroni, made from `deploy/patroni.yml` as it stands, and the etcd that they agree by."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from nodes import DEPLOY, Node
from processes import fetch, free_environment, free_port
from striking import kill_processes
from till import until

from dev import founding
from shop import schema

_PATIENCE_S = 60


class Etcd(Node):
    """A cluster of one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clients, among = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{free_port()}"
        self.start("etcd", "--data-dir", self.home / "etcd", "--initial-cluster", f"default={among}",
                   "--listen-client-urls", self.clients, "--advertise-client-urls", self.clients,
                   "--listen-peer-urls", among, "--initial-advertise-peer-urls", among)  # fmt: skip
        until("etcd answers", self._answers)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.clients}/health", trust_env=False).json()["health"] == "true"
        return False


class Machine(Node):
    """A Patroni and its PostgreSQL. They live and die together, as on a machine of their own."""

    def __init__(self, folder: Path, name: str, etcd: Etcd, words: Mapping[str, str]) -> None:
        super().__init__(folder)
        self.name, self.data = name, self.home / "data"
        self.address, self._control = f"127.0.0.1:{self.port}", f"127.0.0.1:{free_port()}"
        self._environment = {
            "PATRONI_NAME": name,
            "PATRONI_RESTAPI_LISTEN": self._control,
            "PATRONI_RESTAPI_CONNECT_ADDRESS": self._control,
            "PATRONI_POSTGRESQL_LISTEN": self.address,
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": self.address,
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.data),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self.runner.programs),
            "PATRONI_POSTGRESQL_PGPASS": str(self.home / "pgpass"),
            "PATRONI_ETCD3_HOSTS": f"127.0.0.1:{etcd.port}",
            "PATRONI_SUPERUSER_USERNAME": "postgres",
            "PATRONI_SUPERUSER_PASSWORD": words["postgres"],
            "PATRONI_REPLICATION_USERNAME": "replicator",
            "PATRONI_REPLICATION_PASSWORD": words["replicator"],
            "PATRONI_REWIND_USERNAME": "rewinder",
            "PATRONI_REWIND_PASSWORD": words["rewinder"],
        }
        self.begin()

    def begin(self) -> None:
        """Switched on."""
        settings = self.write("patroni.yml", (DEPLOY / "patroni.yml").read_text())
        self.start("patroni", settings, environment={**free_environment(), **self._environment})

    def roles(self) -> dict[str, str]:
        """What this one says of all of them: name → role, of those that run."""
        with suppress(httpx.TransportError):
            members = httpx.get(f"http://{self._control}/cluster", timeout=2, trust_env=False).json()["members"]
            return {one["name"]: one["role"] for one in members if one["state"] in ("running", "streaming")}
        return {}

    def kill(self) -> None:
        """The machine loses its power: Patroni, PostgreSQL and all that it made."""
        super().kill()
        with suppress(FileNotFoundError):
            postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            if str(self.data).encode() not in Path(f"/proc/{postmaster}/cmdline").read_bytes():
                return  # not ours to kill
            kill_processes(postmaster)
            until("PostgreSQL is gone", lambda: _is_gone(postmaster))


def _is_gone(pid: int) -> bool:
    """Or dead, and nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Managed:
    """Two machines, and what `Battle` asks of a cluster: the addresses name both, whoever leads."""

    def __init__(self, machines: list[Machine], words: Mapping[str, str]) -> None:
        self.machines, self._words = machines, words

    def leader(self) -> Machine | None:
        """By the word of those that live."""
        for asked in self.machines:
            for name, role in asked.roles().items():
                if role == "leader":
                    return next(one for one in self.machines if one.name == name)
        return None

    def await_both(self) -> None:
        """One leads, the other has whatever is answered."""
        until(
            f"a leader and its standby: {[one.log()[-500:] for one in self.machines]}",
            lambda: all(sorted(one.roles().values()) == ["leader", "sync_standby"] for one in self.machines),
            _PATIENCE_S,
        )

    def owner_url(self) -> str:
        return self.url("shop_owner")

    def app_url(self) -> str:
        return self.url("shop_app")

    def url(self, role: str, database: str = "shop") -> str:
        hosts = ",".join(one.address for one in self.machines)
        return f"postgresql://{role}:{self._words[role]}@{hosts}/{database}?target_session_attrs=primary"


@contextmanager
def managed(folder: Path) -> Iterator[Managed]:
    """Two machines, the shop's roles and its schema."""
    words = {name: secrets.token_hex(12) for name in (*founding.ROLES, "replicator", "rewinder")}
    with ExitStack() as stack:
        etcd = stack.enter_context(Etcd(folder / "etcd"))
        machines = [stack.enter_context(Machine(folder / name, name, etcd, words)) for name in ("db-a", "db-b")]
        made = Managed(machines, words)
        made.await_both()
        for statement in founding.roles(words):
            fetch(made.url("postgres", "postgres"), statement)
        fetch(made.url("postgres"), founding.SCHEMA)
        asyncio.run(schema.migrate(made.owner_url(), "shop_app"))
        yield made
