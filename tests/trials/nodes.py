"""Machines of a larger shop, each a real process here: a standby, a pooler, a proxy, made from `deploy/` as it stands."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from processes import ROOT, fetch, free_port
from till import until

from dev import account
from dev.postgres import Cluster, programs

DEPLOY = ROOT / "deploy"


class Node:
    """One program, with the rights that Postgres programs run with here; stopped at the end of `with`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.runner = account.choose(folder, programs())
        self.folder, self.home = folder, self.runner.home
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, Any]:
        uid, gid = self.runner.ids or (None, None)
        return {"user": uid, "group": gid, "extra_groups": None if uid is None else []}

    def write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        self.runner.hand_over(path)
        return path

    def start(self, *argv: str | Path, environment: dict[str, str] | None = None) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.runner.prefix, *map(str, argv)],
                cwd=self.home,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.options,
            )

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def tell(self, number: signal.Signals) -> None:
        """A signal to it and all it made."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.tell(signal.SIGKILL)
            self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Standby(Node):
    """A copy of `primary` that follows it, under `name`."""

    def __init__(self, folder: Path, primary: Cluster, name: str) -> None:
        super().__init__(folder)
        self.primary, self.name = primary, name
        source = f"{primary.superuser_url()}?application_name={name}"
        copy = [programs() / "pg_basebackup", "--pgdata", self.home / "pgdata", "--dbname", source]
        made = subprocess.run(
            [*self.runner.prefix, *map(str, copy), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
            cwd=self.home,
            capture_output=True,
            check=False,
            **self.options,
        )
        assert made.returncode == 0, made.stderr.decode()
        self.start(programs() / "postgres", "-D", self.home / "pgdata", "-c", f"port={self.port}",
                   "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")  # fmt: skip
        until("the standby follows", self.streams)

    def streams(self) -> bool:
        rows = fetch(
            self.primary.superuser_url(),
            "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'",
            self.name,
        )
        return bool(rows)

    def url(self, of: str, database: str = "shop") -> str:
        """The address `of` somebody at the primary, here."""
        parts = urlsplit(of)
        return f"postgresql://{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}/{database}"

    def superuser(self, statement: str) -> list[Any]:
        return fetch(self.url(self.primary.superuser_url(), "postgres"), statement)

    def stop_following(self) -> None:
        """It hears nothing more of the primary, as behind a cut cable."""
        self.superuser("ALTER SYSTEM SET primary_conninfo = ''")
        self.superuser("SELECT pg_reload_conf()")
        until("the standby follows no more", lambda: not self.streams())

    def promote(self) -> None:
        self.superuser("SELECT pg_promote()")


class PgBouncer(Node):
    """`deploy/pgbouncer.ini` before the server at `database_port`, with `more` settings in place of its own."""

    def __init__(self, folder: Path, app_url: str, database_port: int, **more: str) -> None:
        super().__init__(folder)
        parts = urlsplit(app_url)
        users = self.write("userlist.txt", f'"{parts.username}" "{parts.password}"\n')
        more = {"listen_addr": "127.0.0.1", "listen_port": str(self.port), "auth_file": str(users), **more}
        text = (DEPLOY / "pgbouncer.ini").read_text().replace("port=5432", f"port={database_port}")
        for name, value in more.items():
            text, times = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
            assert times == 1, name
        self.start("pgbouncer", self.write("pgbouncer.ini", text + "unix_socket_dir =\n"))
        self.url = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{self.port}/shop"
        until(f"PgBouncer takes connections: {self.log()}", lambda: "process up" in self.log())


class Proxy(Node):
    """`deploy/haproxy.cfg` or `deploy/nginx.conf` before the doors at `ports`.

    `certificate`: a folder with `shop.pem` and `shop.key`, for what begins with `#TLS` in them. `most`: so often may one
    address ask, and `open_at_once`: so many connections may it have; all load is one address's.
    """

    def __init__(
        self,
        folder: Path,
        program: str,
        ports: list[int],
        certificate: Path | None = None,
        *,
        most: int = 1_000_000,
        open_at_once: int = 50_000,
    ) -> None:
        super().__init__(folder)
        self.tls_port = free_port()
        name, argv = {
            "haproxy": ("haproxy.cfg", ["haproxy", "-db", "-f"]),
            "nginx": ("nginx.conf", ["nginx", "-g", "daemon off;", "-p", str(self.home), "-c"]),
        }[program]
        text = (DEPLOY / name).read_text()
        for host, port in zip(("app-a:8000", "app-b:8000"), ports, strict=True):
            text = text.replace(host, f"127.0.0.1:{port}")
        text = text.replace(":8080", f"127.0.0.1:{self.port}")
        if certificate is not None:
            text = text.replace("#TLS ", "").replace(":8443", f"127.0.0.1:{self.tls_port}")
            for file in ("shop.pem", "shop.key"):
                kept = self.write(file, (certificate / file).read_text())
                text = text.replace(f"/etc/{program}/{file}", str(kept))
        text = text.replace("gt 3000", f"gt {most}").replace("gt 2000", f"gt {open_at_once}")
        text = text.replace("limit_conn connections 2000", f"limit_conn connections {open_at_once}")
        text = text.replace("rate=300r/s", f"rate={max(most // 10, 1)}r/s").replace("burst=1000", f"burst={most}")
        self.start(*argv, self.write(name, text))
        self.url = f"http://127.0.0.1:{self.port}"

    def await_answer(self) -> None:
        until(f"the proxy answers: {self.log()}", self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def missing(*names: str) -> list[str]:
    return [name for name in names if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
