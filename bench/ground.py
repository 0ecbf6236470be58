"""What a workload stands on: the servers, the data, how long and how often to measure."""

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import generator, processes
from bench.data import history, people
from bench.feeding import Feed
from bench.generator import Run
from bench.measuring import Step
from bench.size import Size
from bench.stage import WORKERS, Server, Stage
from dev import ports
from dev.trouble import Trouble


@dataclass(kw_only=True)
class Ground:
    """One database with a shop on it."""

    stage: Stage
    database: str
    size: Size
    feed: Feed
    seconds: int
    runs: int
    say: Step
    soak_minutes: float = 0.0
    _server: Server | None = None
    _postmaster: int | None = None

    @property
    def server(self) -> Server:
        """The shop, started when it is first needed."""
        if self._server is None:
            self._server = self.stage.serve(self.database)
            self._postmaster = self.stage.postmaster()
        return self._server

    def close(self) -> None:
        """Stop the shop."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def load(self, script: str, *, connections: int, seconds: float | None = None, **variables: str) -> Run:
        """Load the shop once."""
        server = self.server
        return generator.wrk(
            script,
            server,
            self.feed.folder,
            connections=connections,
            seconds=self.seconds if seconds is None else seconds,
            postmaster=self._postmaster,
            **variables,
        )

    def once(self, script: str, *, connections: int, **variables: str) -> Run:
        """Load the shop with requests that are each sent once."""
        server = self.server
        return generator.wrk_once(
            script, server, self.feed.folder, connections=connections, postmaster=self._postmaster, **variables
        )

    def statements(self, script: str, *, clients: int = 8, each: int | None = None, **variables: int) -> float:
        """Transactions per second of a script of `bench/sql`, run by the application's role on the same data.

        For the seconds of a run; or `each` transactions of every client. `variables` are those of the script.
        """
        return generator.pgbench(
            script,
            self.stage.cluster.app_url(self.database),
            amount=("-T", self.seconds) if each is None else ("-t", each),
            clients=clients,
            skus=self.size.skus,
            signed_in=self.size.signed_in,
            **variables,
        )

    @contextmanager
    def bare(self, path: str) -> Iterator[Server]:
        """The bare endpoint, answering what the shop answers at `path` now."""
        file = self.feed.folder / "bare-answer.json"
        file.write_bytes(self.fetch(path))
        port = ports.any_free()
        argv = [sys.executable, "-m", "bench.bare", str(port), str(WORKERS), str(file)]
        server = Server(argv, port, self.stage.environment(self.database, port), self.stage.folder / "bare.log", "/")
        try:
            yield server
        finally:
            server.stop()

    def bare_rate(self, server: Server) -> float:
        """Requests per second of the bare endpoint, over as many connections as pages get."""
        run = generator.wrk(
            "get.lua",
            server,
            self.feed.folder,
            connections=64,
            seconds=self.seconds,
            postmaster=None,
            BENCH_PATHS=self.feed.write("bare.tsv", [("/",), ("/",)]),
        )
        if run.errors:
            raise Trouble(f"The bare endpoint failed {run.errors} times.")
        return run.rate

    def fetch(self, path: str, token: str | None = None, wish: object = None) -> bytes:
        """One answer of the shop, to a POST where there is a `wish`. Raises Trouble when it is not a 200."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = None if wish is None else json.dumps(wish)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(
                "POST" if body else "GET", path, body, headers | ({"content-type": "application/json"} if body else {})
            )
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Trouble(f"{path} was answered {answer.status}: {content[:200]!r}")
        return content

    def preview_freight(self, sku: int) -> int:
        """What sending one piece of a SKU costs, in fen. Raises Trouble."""
        wish = {"lines": [{"skuId": str(sku), "quantity": 1}]}
        found: dict[str, int] = json.loads(self.fetch("/api/v1/checkout/preview", people.token(1), wish))
        return found["freightFen"]

    def clear(self) -> None:
        """Cancel what earlier runs left unpaid: a member may have twenty unpaid orders and no more."""
        self.stage.quiet(self.database)
        self.stage.owner(self.database, history.cancel_unpaid)
        self.stage.owner(
            self.database, lambda connection: connection.execute("VACUUM (ANALYZE) orders, payment, stock")
        )
        self.stage.checkpoint()

    def worker_mib(self) -> list[float]:
        """Resident memory of each worker of the shop."""
        return [processes.rss_mib(pid) for pid in self.server.workers()]

    @property
    def folder(self) -> Path:
        """Where everything of this run lies."""
        return self.stage.folder
