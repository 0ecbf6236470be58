"""What stands on both sides of a proxy under attack: a server that remembers every byte it was asked, and a client that
says exactly what it is told to say."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

BIG = b"x" * 32_000_000
"""More than all buffers between the two."""


@dataclass
class Asked:
    """One request as it reached the server: the first line, the headers as they stand, the body."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name]


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Recorder:
    """Answers everything with 200, and keeps what it was asked, health checks aside.

    `/api/big` is answered with `BIG`, `/api/busy` with 503, and at `/api/lost` it hangs up in place of an answer.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread at the descriptor's number
        self._accepting.join(5)
        self._listener.close()

    def of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with wire, wire.makefile("rb") as lines, suppress(OSError, ValueError):
            while line := lines.readline():
                asked = Asked(line.decode("latin-1").strip(), [])
                while (header := lines.readline().decode("latin-1").rstrip("\r\n")) != "":
                    name, _, value = header.partition(":")
                    asked.headers.append((name, value.strip()))
                asked.body = _body(lines, asked)
                if asked.path not in ("/readyz", "/healthz"):
                    self.asked.append(asked)
                if asked.path == "/api/lost":
                    return
                body = BIG if asked.path == "/api/big" else b"ok"
                status = b"503 Service Unavailable" if asked.path == "/api/busy" else b"200 OK"
                head = b"HTTP/1.1 " + status + b"\r\nServer: granian 2\r\nX-Content-Type-Options: nosniff\r\n"
                wire.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _body(lines: object, asked: Asked) -> bytes:
    read, readline = lines.read, lines.readline  # type: ignore[attr-defined]
    if "chunked" in "".join(asked.all("transfer-encoding")).lower():
        found = b""
        while size := int(readline().split(b";")[0], 16):
            found += read(size)
            readline()
        readline()
        return bytes(found)
    return bytes(read(int((asked.all("content-length") or ["0"])[0])))


class Wire:
    """A connection on which anything may be said."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="shop.example")

    def say(self, text: bytes) -> None:
        with suppress(OSError):  # it may have hung up in the middle of it
            self.socket.sendall(text)

    def answers(self, within_s: float = 30, most: int = 1) -> list[Answer]:
        """What comes back until it hangs up, `most` answers are there, or the time is over."""
        end, raw, found = time.monotonic() + within_s, b"", []
        while len(found) < most and (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(65536)
            except OSError:
                break
            if not piece:
                break
            raw += piece
            found = parsed(raw)
        return found

    def is_open(self, within_s: float) -> bool:
        """Nothing but silence from the other side."""
        self.socket.settimeout(within_s)
        try:
            return self.socket.recv(65536) != b""
        except TimeoutError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        self.socket.close()


def parsed(raw: bytes) -> list[Answer]:
    """All whole answers in `raw`."""
    found = []
    while b"\r\n\r\n" in raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        if len(rest) < size:
            break
        found.append(Answer(int(first.split(" ")[1]), headers, rest[:size]))
        raw = rest[size:]
    return found
