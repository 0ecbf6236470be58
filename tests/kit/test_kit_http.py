"""We speak to whom we mean and to nobody else; what was answered is gone without the garbage collector."""

import asyncio
import gc
import ssl
import subprocess
import weakref
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kit import http as outside
from kit.http import outside_client, untie

pytestmark = pytest.mark.anyio


@pytest.fixture
def nobody_collects() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nobody_collects")
async def test_an_answer_that_was_read_and_untied_is_gone_at_once() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="好"))) as http:
        left = []
        for is_untied in (False, True):
            async with http.stream("GET", "https://wechat.example/") as response:
                read = b"".join([piece async for piece in response.aiter_bytes()])
            if is_untied:
                untie(response)
            assert (response.status_code, read) == (200, "好".encode())
            left.append(weakref.ref(response))
            del response
        assert left[0]() is not None, "httpx itself has no circle any more: `untie` is needless"
        assert left[1]() is None


@pytest.fixture
def trusted() -> Iterator[ssl.SSLContext]:
    """Whom our clients believe, for this test alone."""
    outside._trusted.cache_clear()
    yield outside._trusted()
    outside._trusted.cache_clear()


async def test_we_speak_to_whom_we_mean_and_to_nobody_else(
    trusted: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of WeChat's platform carry no signature: its certificate is all that we know it by."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side) as server, outside_client() as http:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            await http.get(f"https://localhost:{port}/")
        trusted.load_verify_locations(certificate)
        with pytest.raises(httpx.ConnectError, match=r"not valid for '127\.0\.0\.1'"):
            await http.get(f"https://127.0.0.1:{port}/")
        assert (await http.get(f"https://localhost:{port}/")).status_code == 302
    assert asked == [b"GET / HTTP/1.1"]
