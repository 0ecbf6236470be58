"""A door before Postgres that counts what goes through it, and tells at the nth round trip: for deaths at any statement.

It reads the frontend's messages (type, length, content; PostgreSQL protocol 3): a `Sync` or a simple `Query` ends what the
client sends before it waits. `before`: the nth message is never passed on. `after`: Postgres has done the nth COMMIT, and
its answer is held back (a death after any other statement is the same as one before the next).
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_ENDS = frozenset({b"S", b"Q"})
_ASKS_FOR_TLS = 8
"""The length of a request for encryption, which may come before the start-up message."""


class CountingDoor:
    """`arm(n, when, strike)`: at the nth message from now, `strike()` is called and that connection goes no further.

    `statements` and `commits` were seen since then; `ports` are ours towards Postgres, by which it knows who is connected.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self.ports: list[int] = []
        self.arm(0, "before", lambda: None)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, nth: int, when: str, strike: Callable[[], None]) -> None:
        with self._lock:
            self.statements = self.commits = 0
            self.struck = False
            self._nth, self._when, self._strike = nth, when, strike

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._upstream)
            self.ports.append(int(server.getsockname()[1]))
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            held = threading.Event()
            for way in (self._forth, self._back):
                threading.Thread(target=self._pass, args=(way, client, server, held), daemon=True).start()

    def _pass(
        self,
        way: Callable[[socket.socket, socket.socket, threading.Event], None],
        client: socket.socket,
        server: socket.socket,
        held: threading.Event,
    ) -> None:
        try:
            way(client, server, held)
        except OSError:
            pass
        finally:
            for side in (client, server):
                with suppress(OSError):  # `close` alone would not wake the thread that reads it
                    side.shutdown(socket.SHUT_RDWR)
                side.close()

    def _forth(self, client: socket.socket, server: socket.socket, held: threading.Event) -> None:
        while (size := int.from_bytes(_peek(client), "big")) == _ASKS_FOR_TLS:
            server.sendall(_exactly(client, size))
        server.sendall(_exactly(client, size))  # the start-up message has no type either
        while True:
            kind = _exactly(client, 1)
            length = _exactly(client, 4)
            content = _exactly(client, int.from_bytes(length, "big") - 4)
            if kind in _ENDS and self._is_the_one(is_commit=kind == b"Q" and content.upper().startswith(b"COMMIT")):
                if self._when == "before":
                    self._strike_now()
                    return
                held.set()
            server.sendall(kind + length + content)

    def _back(self, client: socket.socket, server: socket.socket, held: threading.Event) -> None:
        while True:
            answer = server.recv(65536)
            if not answer:
                return
            if held.is_set():
                if answer[-6:-1] == b"Z\x00\x00\x00\x05":  # ReadyForQuery: it has been done
                    self._strike_now()
                    return
                continue
            client.sendall(answer)

    def _is_the_one(self, *, is_commit: bool) -> bool:
        with self._lock:
            self.statements += 1
            self.commits += is_commit
            if self._when == "before":
                return self.statements == self._nth
            return is_commit and self.commits == self._nth

    def _strike_now(self) -> None:
        self.struck = True
        self._strike()


def _peek(side: socket.socket) -> bytes:
    while len(seen := side.recv(4, socket.MSG_PEEK)) < 4:
        if not seen:
            raise OSError("gone")
    return seen


def _exactly(side: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = side.recv(size - len(parts))
        if not part:
            raise OSError("gone")
        parts += part
    return parts
