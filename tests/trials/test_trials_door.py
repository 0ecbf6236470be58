"""The reference proxies under attack (D17 to D20, B11 of the list in docs/trials.md): what is malformed goes no further,
what strangers say of themselves is not passed on, who is slow is let go."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from door import GUARDS, LIES, PROGRAMS, Door, said
from processes import ROOT
from till import until

Rounds = Callable[[int, int], int]
DOCUMENT = ROOT / "tests" / "openapi.json"
SMUGGLED = b"GET /api/smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n"


MALFORMED = {
    "two CLs": said(b"Content-Length: 0\r\nContent-Length: 50\r\n", SMUGGLED),
    "CL: 0, 50": said(b"Content-Length: 0, 50\r\n", SMUGGLED),
    "CL: +3": said(b"Content-Length: +3\r\n", b"abc"),
    "CL: -1": said(b"Content-Length: -1\r\n", SMUGGLED),
    "CL: 0x10": said(b"Content-Length: 0x10\r\n", b"a" * 16),
    "CL of 30 digits": said(b"Content-Length: " + b"9" * 30 + b"\r\n", SMUGGLED),
    "TE: xchunked": said(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "TE: chunked, identity": said(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    "two TEs": said(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    "a chunk's size overflows": said(b"Transfer-Encoding: chunked\r\n", b"1" + b"0" * 20 + b"\r\n" + SMUGGLED),
    "a chunk's size is no number": said(b"Transfer-Encoding: chunked\r\n", b"zz\r\n" + SMUGGLED),
    "space before the colon": said(b"Content-Length : 50\r\n", SMUGGLED),
    "space in a name": said(b"X Y: z\r\n", b""),
    "NUL in a value": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nX-A: a\x00b\r\n\r\n",
    "bare CR": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nX-A: a\rX-B: b\r\n\r\n",
    "no version": b"GET /api/first\r\n\r\n",
    "version 1.2x": b"GET /api/first HTTP/1.1x\r\nHost: shop.example\r\n\r\n",
    "no Host": b"GET /api/first HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nHost: evil.example\r\n\r\n",
    "a Host that is none": b"GET /api/first HTTP/1.1\r\nHost: shop.example/@evil\r\n\r\n",
    "a header of 200 kB": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "2,000 headers": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\n"
    + b"".join(b"X-%d: a\r\n" % n for n in range(2000))
    + b"\r\n",
    "a URL of 100 kB": b"GET /api/first" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: shop.example\r\n\r\n",
}
MENDABLE = {
    "CL and TE": said(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "TE and CL": said(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED),
    "obs-fold": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nX-A: a\r\n b\r\n\r\n",
    "obs-fold of TE": said(b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "the same Host twice": b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n",
    "bare LF": b"GET /api/first HTTP/1.1\nHost: shop.example\n\n",
    "bare LF in a chunk": said(b"Transfer-Encoding: chunked\r\n", b"3\nabc\n0\n\n" + SMUGGLED),
}
"""What one of them refuses and the other writes anew, as RFC 9112 has it: the shop sees one sound request at most."""
REFUSALS = {400, 405, 411, 413, 414, 421, 431, 494, 501, 505}


@pytest.mark.trial("R32")
@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_goes_no_further(door: Door, what: str) -> None:
    before = len(door.server.asked)
    with door.saying(MALFORMED[what]) as wire:
        found = [answer.status for answer in [*wire.answers(5), *wire.answers(0.2)]]
    assert door.server.asked[before:] == [], "it was passed on"
    assert len(found) <= 1, found
    assert set(found) <= REFUSALS, found


@pytest.mark.trial("R32")
@pytest.mark.parametrize("what", MENDABLE)
def test_what_can_be_read_in_two_ways_is_refused_or_written_anew(door: Door, what: str) -> None:
    before = len(door.server.asked)
    with door.saying(MENDABLE[what]) as wire:
        statuses = [answer.status for answer in [*wire.answers(5), *wire.answers(0.3)]]
    passed = door.server.asked[before:]
    assert set(statuses) <= {200, *REFUSALS}, statuses
    for asked in passed:
        assert len(asked.all("host")) == 1, asked
        assert len(asked.all("content-length")) + len(asked.all("transfer-encoding")) <= 1, asked
        assert not any(value == "" or "\n" in value for _, value in asked.headers), asked
    if "bare LF" not in what:
        assert [asked.path for asked in passed] in ([], ["/api/first"]), "a second one came in with the first"


@pytest.mark.trial("R32")
def test_what_strangers_say_of_themselves_is_thrown_away(door: Door) -> None:
    door.server.asked.clear()
    assert door.get("/api/lies", *LIES).status == 200
    (asked,) = door.server.of("/api/lies")
    told = {name.lower(): value for name, value in asked.headers}
    assert told.pop("x-forwarded-for") == "127.0.0.1"
    assert told.pop("x-forwarded-proto", "http") == "http"
    named = {lie.partition(":")[0].lower() for lie in LIES}
    assert named & set(told) == set()
    assert not any("evil" in value or "203.0.113.9" in value for value in told.values())


@pytest.mark.trial("R32")
def test_several_forwarded_fors_are_thrown_away_all(door: Door) -> None:
    door.server.asked.clear()
    door.get("/api/many", *["X-Forwarded-For: 203.0.113.9"] * 3, "x-forwarded-for: 203.0.113.8, 10.0.0.1")
    assert door.server.of("/api/many")[0].all("x-forwarded-for") == ["127.0.0.1"]


INSIDE = ["/metrics", "/docs", "/docs/", "/docs/openapi.json", "/docs-assets/swagger-ui.css", "/schema", "/schema/x"]
DISGUISES = [
    "/%6detrics",
    "//metrics",
    "/./metrics",
    "/x/../metrics",
    "/metrics/",
    "/METRICS",
    "/metrics?x=1",
    "/metrics;x",
]


@pytest.mark.trial("R32")
@pytest.mark.parametrize("path", [*INSIDE, *DISGUISES])
def test_what_is_for_our_own_network_does_not_exist_outside(door: Door, path: str) -> None:
    """A disguise may be passed on, but as it is: then it is no path of the shop's either (tests/attacks)."""
    door.server.asked.clear()
    answer = door.get(path)
    passed = [asked.path for asked in door.server.asked]
    assert answer.status in (400, 404) or path in DISGUISES, answer
    assert not {"/metrics", "/docs"} & {seen.partition("?")[0].rstrip("/") for seen in passed}, passed


@pytest.mark.trial("R32")
def test_a_full_address_and_its_path_are_the_same_door(door: Door) -> None:
    assert door.ask(b"GET http://shop.example/metrics HTTP/1.1\r\nHost: shop.example\r\n\r\n").status in (400, 404)
    assert door.server.of("/metrics") == []


@pytest.mark.trial("R32")
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK"])
def test_methods_that_only_proxies_have(door: Door, method: str) -> None:
    target = "shop.example:443" if method == "CONNECT" else "/api/method"
    answer = door.ask(f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
    assert answer.status in (400, 405, 501), answer
    assert not any(asked.line.startswith(method) for asked in door.server.asked)


@pytest.mark.trial("R32")
def test_a_body_above_what_the_shop_takes(door: Door) -> None:
    chunks = b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n" + b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n0\r\n\r\n"
    assert door.ask(said(b"Transfer-Encoding: chunked\r\n", chunks, b"/api/large")).status == 413
    assert door.ask(said(b"Content-Length: 11000000\r\n", b"", b"/api/large")).status == 413
    assert door.server.of("/api/large") == []


@pytest.mark.trial("R32")
def test_a_body_of_what_the_shop_takes(door: Door) -> None:
    body = b"a" * 65536
    chunks = b"8000\r\n" + body[:0x8000] + b"\r\n8000\r\n" + body[:0x8000] + b"\r\n0\r\n\r\n"
    assert door.ask(said(b"Content-Length: 65536\r\n", body, b"/api/fits")).status == 200
    assert door.ask(said(b"Transfer-Encoding: chunked\r\n", chunks, b"/api/fits")).status == 200
    assert [asked.body for asked in door.server.of("/api/fits")] == [body, body]


@pytest.mark.trial("R32")
def test_it_names_no_version(door: Door) -> None:
    for answer in (door.get("/api/x"), door.get("/metrics"), door.ask(b"rubbish\r\n\r\n")):
        assert not any(character.isdigit() for character in answer.headers.get("server", "")), answer.headers


@pytest.mark.trial("R32")
def test_browsers_are_told_what_not_to_do_also_with_refusals(door: Door) -> None:
    for answer in (door.get("/api/x"), door.get("/nowhere"), door.ask(said(b"Content-Length: 11000000\r\n", b""))):
        assert {name: answer.headers.get(name) for name in GUARDS} == GUARDS, answer
        assert "strict-transport-security" not in answer.headers, "said over a plain connection"


@pytest.mark.trial("R26", "R32")
@pytest.mark.parametrize("path", ["/api/lost", "/api/busy"])
def test_what_changes_something_is_asked_once_whatever_comes_of_it(door: Door, path: str) -> None:
    """Nobody knows what was done by then: only the client may ask again, under the same key."""
    door.server.asked.clear()
    answer = door.ask(said(b"Content-Length: 2\r\n", b"{}", path.encode()))
    assert (answer.status in (502, 503), len(door.server.of(path))) == (True, 1)
    until("the servers are asked again", lambda: {door.get("/api/x").status for _ in range(4)} == {200})


@pytest.fixture(scope="module", params=PROGRAMS)
def narrow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same, where an address may ask twenty times."""
    with closing(Door(tmp_path_factory.mktemp("narrow") / "proxy", request.param, most=20)) as door:
        yield door


@pytest.mark.trial("R32")
def test_an_address_that_asks_too_often_is_refused_but_never_wechat(narrow: Door) -> None:
    """Its news come by the hundred from few addresses, and what is refused comes late or never."""
    news, other = (said(b"Content-Length: 2\r\n", b"{}", path) for path in (b"/wechat/pay/notify", b"/api/first"))
    assert [narrow.ask(news).status for _ in range(60)] == [200] * 60
    assert {narrow.ask(other).status for _ in range(60)} == {200, 429}
    assert narrow.ask(news).status == 200


@pytest.fixture(scope="module", params=PROGRAMS)
def crowded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same, where an address may have eight connections."""
    with closing(Door(tmp_path_factory.mktemp("crowded") / "proxy", request.param, open_at_once=8)) as door:
        yield door


@pytest.mark.trial("R32")
def test_one_address_has_not_all_connections(crowded: Door) -> None:
    """Each is held by a body that does not come; whoever lets go of one may ask again."""
    ask = b"GET /api/first HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"

    def statuses() -> list[int]:
        with suppress(OSError), crowded.saying(ask) as wire:
            return [answer.status for answer in wire.answers()]
        return []  # not even a connection

    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(crowded.saying(said(b"Content-Length: 100\r\n", b"")))
        until("the ninth is refused", lambda: statuses() in ([], [429]))
    until("whoever has let go is served", lambda: statuses() == [200])


def test_everything_that_the_shop_serves_is_let_through(door: Door) -> None:
    """By the document of its interface; what is not in the list of the proxy's configuration would be a 404."""
    paths = [re.sub(r"{\w+}", "1", path) for path in json.loads(DOCUMENT.read_text())["paths"]]
    assert len(paths) > 50
    found = {path: door.get(path).status for path in [*paths, "/media/0a1b.jpg"]}
    assert {path for path, status in found.items() if status != 200} <= {"/readyz"}
