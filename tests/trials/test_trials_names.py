"""`deploy/haproxy.cfg` before servers whose names are unknown at first, and whose addresses change, as those of containers do."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from nodes import DEPLOY, Node, missing
from processes import free_port
from till import until

pytestmark = [pytest.mark.haproxy, pytest.mark.skipif(bool(missing("haproxy")), reason="HAProxy is not installed")]
_A, _UNKNOWN, _ANSWER = 1, 3, 0x8180


class NameServer:
    """Knows `addresses`, and may change its mind."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self._wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._wire.bind(("127.0.0.1", 0))
        self.port = int(self._wire.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._over = False
        self._thread.start()

    def _serve(self) -> None:
        while True:
            asked, who = self._wire.recvfrom(4096)
            if self._over:
                return
            self._wire.sendto(self._answer(asked), who)

    def _answer(self, asked: bytes) -> bytes:
        parts, at = [], 12
        while size := asked[at]:
            parts.append(asked[at + 1 : at + 1 + size].decode())
            at += 1 + size
        question = asked[12 : at + 5]
        address = self.addresses.get(".".join(parts))
        given = address is not None and struct.unpack("!H", question[-4:-2])[0] == _A
        status = _ANSWER | (0 if address else _UNKNOWN)
        head = asked[:2] + struct.pack("!HHHHH", status, 1, int(given), 0, 0)
        if not given:
            return head + question
        return head + question + struct.pack("!HHHIH4s", 0xC00C, _A, 1, 1, 4, socket.inet_aton(str(address)))

    def close(self) -> None:
        self._over = True
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._wire.close()


class _Says(BaseHTTPRequestHandler):
    """One request for each connection (HTTP/1.0), so that none outlives its server."""

    def do_GET(self) -> None:
        body = str(self.server.server_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A health check hangs up as soon as it knows enough."""


@contextmanager
def serving(address: str, port: int) -> Iterator[None]:
    """A server that says its own address."""
    with _Quiet((address, port), _Says) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(5)


class Proxy(Node):
    """`deploy/haproxy.cfg` with its names; only the name server and the ports are ours."""

    def __init__(self, folder: Path, names: NameServer, port: int) -> None:
        super().__init__(folder)
        text = (DEPLOY / "haproxy.cfg").read_text()
        for old, new in (
            ("parse-resolv-conf", f"nameserver ours 127.0.0.1:{names.port}"),
            (":8080", f"127.0.0.1:{self.port}"),
            (":8000", f":{port}"),
        ):
            assert old in text
            text = text.replace(old, new)
        self.start("haproxy", "-db", "-f", self.write("haproxy.cfg", text))

    def says(self, method: str = "GET") -> str:
        """Who answered, or the status of a refusal, or nothing."""
        with suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{self.port}/api/x"
            answer = httpx.request(method, url, timeout=5, trust_env=False)
            return answer.text if answer.status_code == 200 else str(answer.status_code)
        return ""

    def await_word(self, word: str) -> None:
        """Both from who changes nothing and from who may."""
        for method in ("GET", "POST"):
            until(f"{method} is told {word}: {self.log()[-2000:]}", lambda method=method: self.says(method) == word)


def test_a_server_is_found_whenever_it_comes_and_wherever_it_goes(tmp_path: Path) -> None:
    port = free_port()
    with closing(NameServer()) as names, Proxy(tmp_path / "proxy", names, port) as proxy:
        proxy.await_word("503")  # it runs, though nobody knows the names
        with serving("127.0.0.2", port):
            names.addresses["app-a"] = "127.0.0.2"
            proxy.await_word("127.0.0.2")
        proxy.await_word("503")
        with serving("127.0.0.3", port):
            names.addresses["app-a"] = "127.0.0.3"
            proxy.await_word("127.0.0.3")
            names.addresses.clear()  # a name server that has forgotten it takes nobody's address at once
            with serving("127.0.0.4", port):
                names.addresses["app-b"] = "127.0.0.4"
                until("b is found too", lambda: proxy.says() == "127.0.0.4")
                until("a is still asked", lambda: proxy.says() == "127.0.0.3")
