"""Several processes of one server: what they count adds up, whichever of them is asked, also when one dies."""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from processes import Part, answers, free_port
from till import until
from world import World

from dev.postgres import Cluster
from shop import schema

ASKED = 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Part]]:
    world = World(tmp_path / "sandbox")
    with Cluster(tmp_path / "pg", settings={"fsync": "off"}) as cluster:
        asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
        port = free_port()
        environment = {**world.env, "DATABASE_URL": cluster.app_url(), "SHOP_PORT": str(port)}
        environment |= {"SHOP_DATA_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
        part = Part(["-m", "shop", "serve", "--workers", "2"], environment, tmp_path / "server.log")
        until("it answers", lambda: answers(f"http://127.0.0.1:{port}/readyz"), 60)
        yield f"http://127.0.0.1:{port}", part
        part.stop()
    world.stop()
    assert list(tmp_path.glob("shop-metrics-*")) == [], "nothing is left"


def test_what_two_processes_answer_is_counted_together(server: tuple[str, Part], tmp_path: Path) -> None:
    url, part = server
    _ask(url)
    files = list(tmp_path.glob("shop-metrics-*/counter_*.db"))
    assert len(files) == 2, "each of them has answered"
    _is_counted(url, ASKED)
    os.kill(int(files[0].stem.partition("_")[2]), signal.SIGKILL)
    until("another is there", lambda: len(_children(part)) == 2 and answers(f"{url}/readyz"), 30)
    _ask(url)
    _is_counted(url, 2 * ASKED)


def _ask(url: str) -> None:
    """So often, each over a connection of its own, some at once."""

    def once(_: int) -> int:
        return httpx.get(f"{url}/api/v1/categories", trust_env=False).status_code

    with ThreadPoolExecutor(16) as crowd:
        assert set(crowd.map(once, range(ASKED))) == {200}


def _is_counted(url: str, times: int) -> None:
    for _ in range(20):
        said = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
        assert f'http_answers_total{{operation="listCategories",status="200"}} {times}.0' in said
        assert f'http_request_seconds_count{{method="GET",operation="listCategories"}} {times}.0' in said
        assert said.count("database_up 1.0") == 1


def _children(part: Part) -> list[str]:
    pid = part.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
