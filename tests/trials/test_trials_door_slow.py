"""The reference proxies: who is slow is let go and holds up nobody; and with TLS, which a certificate made here tries."""

import select
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from door import GUARDS, LIES, PROGRAMS, Door, said
from door_raw import BIG, Wire
from trialing import Rounds


@pytest.mark.trial("R28", "R32")
def test_who_is_slow_is_let_go_and_holds_up_nobody(door: Door, rounds: Rounds) -> None:
    """Heads and bodies that stop, or drip; many at once, and connections that say nothing at all."""
    door.server.asked.clear()
    slow = {
        "a head that stops": b"GET /api/slow HTTP/1.1\r\nHost: shop.example\r\nX-A: ",
        "a head that drips": b"GET /api/slow HTTP/1.1\r\nHost: shop.example\r\nX-A: ",
        "a body that never comes": said(b"Content-Length: 9\r\n", b"", b"/api/slow"),
        "a body that drips": said(b"Content-Length: 60000\r\n", b"a" * 20_000, b"/api/slow"),
        "chunks that drip": said(b"Transfer-Encoding: chunked\r\n", b"ffff\r\n" + b"a" * 20_000, b"/api/slow"),
        "nothing": b"",
    }
    wires = {(what, number): door.wire() for what in slow for number in range(rounds(20, 350))}
    try:
        for (what, _), wire in wires.items():
            wire.say(slow[what])
        patient = {"a body that drips", "chunks that drip"} if door.program == "nginx" else set()
        began, took = time.monotonic(), []
        left = wires
        while {what for what, _ in left} - patient and time.monotonic() - began < 10:
            for (what, _), wire in left.items():
                if "drip" in what:
                    wire.say(b"a")
            asked_at = time.monotonic()
            assert door.get("/api/quick").status == 200
            took.append(time.monotonic() - asked_at)
            left = _held(wires)
        assert {what for what, _ in left} <= patient, "nginx waits from byte to byte, for bodies"
        assert max(took) < 1, sorted(took)[-5:]
        assert door.server.of("/api/slow") == [], "a server was bothered with what was not all there"
    finally:
        for wire in wires.values():
            wire.close()


def _held(wires: dict[tuple[str, int], Wire]) -> dict[tuple[str, int], Wire]:
    """Those on which nobody has hung up, or answered, after a moment."""
    heard = select.poll()  # `select.select` knows a thousand files, and the larger count has more
    for wire in wires.values():
        heard.register(wire.socket, select.POLLIN)
    ready = {number for number, _ in heard.poll(0)}
    threading.Event().wait(0.3)
    return {key: wire for key, wire in wires.items() if wire.socket.fileno() not in ready}


@pytest.mark.trial("R28", "R32")
@pytest.mark.long
def test_who_does_not_read_is_let_go(door: Door) -> None:
    with door.saying(b"GET /api/big HTTP/1.1\r\nHost: shop.example\r\n\r\n") as wire:
        threading.Event().wait(30)
        got = 0
        with suppress(ConnectionResetError):
            while piece := wire.socket.recv(1_000_000):  # what had been sent by then
                got += len(piece)
    assert got < len(BIG)
    assert door.get("/api/quick").status == 200


@pytest.fixture(scope="module", params=PROGRAMS)
def secure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same with its lines for TLS, and a certificate made for this run."""
    folder = tmp_path_factory.mktemp("secure")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example",
         "-keyout", folder / "shop.key", "-out", folder / "shop.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "shop.pem").write_text((folder / "shop.crt").read_text() + (folder / "shop.key").read_text())
    made = Door(folder / "proxy", request.param, folder)
    yield made
    made.close()


@pytest.mark.trial("R32")
def test_with_tls_the_shop_knows_and_the_browser_stays(secure: Door) -> None:
    answer = secure.get("/api/secure", *LIES, secret=True)
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert {name: answer.headers.get(name) for name in GUARDS} == GUARDS
    assert secure.server.of("/api/secure")[0].all("x-forwarded-proto") == ["https"]
    assert secure.get("/nowhere", secret=True).headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in secure.get("/healthz").headers


@pytest.mark.trial("R32")
def test_with_tls_a_plain_request_is_sent_there_and_no_further(secure: Door) -> None:
    answer = secure.get("/api/plain?x=1", "Authorization: Bearer secret")
    assert (answer.status, answer.headers["location"]) == (308, "https://shop.example/api/plain?x=1")
    assert secure.server.of("/api/plain") == []


@pytest.mark.trial("R32")
def test_tls_is_of_today(secure: Door) -> None:
    with secure.saying(b"", secret=True) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.version() == "TLSv1.3"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(secure.trusts)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Wire(secure.proxy.tls_port, old)
