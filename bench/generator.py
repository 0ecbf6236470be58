"""The load generators, which are not ours: wrk for HTTP, pgbench for statements."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import processes
from bench.stage import Server
from dev.postgres import programs
from dev.trouble import Trouble

_HERE = Path(__file__).parent
THREADS = 2
_ONCE_S = 120
"""Of a load that ends by itself: by then something is wrong."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a load. Times in ms; CPU in seconds per request, of the app's processes and of the database's."""

    rate: float
    requests: int
    p50_ms: float
    p99_ms: float
    errors: int
    app_cpu_s: float = 0.0
    db_cpu_s: float = 0.0
    app_mib: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict)


def must_have_wrk() -> None:
    """Raises Trouble."""
    if shutil.which("wrk") is None:
        raise Trouble("wrk is not installed: apt install wrk (or your system's way).")


def wrk(
    script: str,
    server: Server,
    feed: Path,
    *,
    connections: int,
    seconds: float,
    postmaster: int | None,
    **variables: str,
) -> Run:
    """Load a server by a script of `bench/wrk`. Raises Trouble when wrk fails."""
    return _measured(
        server,
        postmaster,
        lambda: start_wrk(
            script, server.url, feed, connections=connections, seconds=seconds, **variables
        ).communicate()[0],
    )


def wrk_once(
    script: str, server: Server, feed: Path, *, connections: int, postmaster: int | None, **variables: str
) -> Run:
    """Send each request of a script once, and end when all are answered. Raises Trouble when wrk fails."""

    def send() -> str:
        process = start_wrk(script, server.url, feed, connections=connections, seconds=_ONCE_S, **variables)
        assert process.stdout is not None
        said, done = [], 0
        for line in process.stdout:
            said.append(line)
            done += line.startswith("THREAD DONE")
            if done == THREADS:
                process.send_signal(signal.SIGINT)  # it then tells what it has counted
                done = 0
        process.wait()
        return "".join(said)

    run = _measured(server, postmaster, send)
    return replace(run, rate=run.requests / (run.more["took_us"] / 1e6))


def _measured(server: Server, postmaster: int | None, load: Callable[[], str]) -> Run:
    """Run a load, with what it cost the processes."""
    app, db = processes.cpu_s(server.pid), processes.cpu_s(postmaster) if postmaster else 0.0
    run = read(result(load()))
    requests = max(run.requests, 1)
    return replace(
        run,
        app_cpu_s=(processes.cpu_s(server.pid) - app) / requests,
        db_cpu_s=(processes.cpu_s(postmaster) - db) / requests if postmaster else 0.0,
        app_mib=sum(processes.rss_mib(pid) for pid in server.workers()),
    )


def read(found: Mapping[str, float]) -> Run:
    """The run that a script's `done` told of."""
    return Run(
        rate=found["requests"] / max(found["duration_us"] / 1e6, 1e-6),
        requests=int(found["requests"]),
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        errors=int(found["status_errors"] + found["socket_errors"] + found["timeouts"] + found.get("wrong", 0)),
        more=found,
    )


def start_wrk(
    script: str, url: str, feed: Path, *, connections: int, seconds: float, **variables: str
) -> subprocess.Popen[str]:
    """Start wrk; `variables` are what the script reads from its environment."""
    argv = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s"]
    known = {"BENCH_WRK": str(_HERE / "wrk"), "BENCH_FEED": str(feed), "BENCH_RUN": secrets.token_hex(6)}
    known["BENCH_THREADS"] = str(THREADS)
    return subprocess.Popen(
        [*argv, "-s", str(_HERE / "wrk" / script), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **known, **variables},
    )


def result(said: str) -> dict[str, float]:
    """What a script's `done` wrote. Raises Trouble."""
    for line in said.splitlines():
        if line.startswith("RESULT "):
            found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            return found
    raise Trouble(f"wrk failed: {said.strip()[-300:]}")


def pgbench(script: str, url: str, *, amount: tuple[str, int], clients: int, **variables: int) -> float:
    """Transactions per second of a script of `bench/sql`, as prepared statements with generic plans.

    `amount` is ("-T", seconds), or ("-t", transactions of each client). Raises Trouble when one fails.
    """
    argv = [str(programs() / "pgbench"), "--no-vacuum", "-M", "prepared", "-c", str(clients), "-j", "2"]
    argv += [amount[0], str(amount[1]), "-f", str(_HERE / "sql" / script)]
    argv += [part for name, value in variables.items() for part in ("-D", f"{name}={value}")]
    options = "-c plan_cache_mode=force_generic_plan -c jit=off"
    done = subprocess.run(
        [*argv, url], capture_output=True, text=True, env={**os.environ, "PGOPTIONS": options}, check=False
    )
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    if done.returncode != 0 or rate is None or (failed and int(failed[1])):
        raise Trouble(f"pgbench {script} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return float(rate[1])
