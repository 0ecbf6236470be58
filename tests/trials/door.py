"""A reference proxy with a server behind it that remembers, and what the trials of both say to it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from door_raw import Answer, Recorder, Wire
from nodes import Proxy, missing

PROGRAMS = [
    pytest.param(which, marks=[getattr(pytest.mark, which), pytest.mark.skipif(bool(missing(which)), reason=which)])
    for which in ("haproxy", "nginx")
]
LIES = [
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Prefix: /evil",
    "X-Real-IP: 203.0.113.9",
    "Forwarded: for=203.0.113.9;host=evil.example",
    "True-Client-IP: 203.0.113.9",
    "X-Original-URL: /metrics",
    "X-Rewrite-URL: /metrics",
    "X-HTTP-Method-Override: DELETE",
    "Proxy: http://evil.example",
    "X-Forwarded_For: 203.0.113.9",
]
GUARDS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Door:
    """A proxy with a server behind it that remembers."""

    def __init__(self, folder: Path, program: str, certificate: Path | None = None, **more: int) -> None:
        self.program, self.server = program, Recorder()
        self.trusts = certificate and certificate / "shop.crt"
        self.proxy = Proxy(folder, program, [self.server.port, self.server.port], certificate, **more)
        self.proxy.await_answer()

    def wire(self, *, secret: bool = False) -> Wire:
        if not secret:
            return Wire(self.proxy.port)
        return Wire(self.proxy.tls_port, ssl.create_default_context(cafile=str(self.trusts)))

    @contextmanager
    def saying(self, text: bytes, *, secret: bool = False) -> Iterator[Wire]:
        wire = self.wire(secret=secret)
        try:
            wire.say(text)
            yield wire
        finally:
            wire.close()

    def ask(self, text: bytes, *, secret: bool = False) -> Answer:
        with self.saying(text, secret=secret) as wire:
            (answer,) = wire.answers()
            return answer

    def get(self, path: str, *headers: str, secret: bool = False) -> Answer:
        lines = [f"GET {path} HTTP/1.1", "Host: shop.example", *headers, "", ""]
        return self.ask("\r\n".join(lines).encode("latin-1"), secret=secret)

    def close(self) -> None:
        self.proxy.kill()
        self.server.close()


def said(headers: bytes, body: bytes, path: bytes = b"/api/first") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: shop.example\r\n" + headers + b"\r\n" + body
