"""A shop that really serves, to be looked at; and doors that are not the shop's."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from started import Started

from shop.settings import Settings, read


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with Started(tmp_path_factory.mktemp("started")) as running:
        yield running


@pytest.fixture(scope="module")
def environment(started: Started) -> dict[str, str]:
    return {
        **started.world.env,
        "DATABASE_URL": started.cluster.app_url(),
        "DATABASE_OWNER_URL": started.cluster.owner_url(),
        "SHOP_PORT": str(started.port),
        "SHOP_DATA_DIR": str(started.log.parent),
    }


@pytest.fixture(scope="module")
def right(environment: dict[str, str]) -> Settings:
    """The settings that fit."""
    return read(environment)


@pytest.fixture
def healed(started: Started) -> None:
    started.world.heal()


@pytest.fixture
def door() -> Iterator[Callable[..., str]]:
    """Opens doors that answer every POST alike: `door(301, location=…)`; their address."""
    servers: list[ThreadingHTTPServer] = []

    def opened(status: int, body: bytes = b"", *, rest_s: float = 0.0, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                time.sleep(rest_s)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield opened
    for server in servers:
        server.shutdown()
        server.server_close()
