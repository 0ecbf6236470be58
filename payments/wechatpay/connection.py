"""The connection to WeChat Pay: what we say is signed, what it says is verified, and there are three answers.

Requests are signed by the `wechatpayv3` package. They are sent from here and not by its client, which sends `null` for a
body that is not there (its defect 2), takes old answers (13), empties its certificates before it has new ones (16) and
cannot stream a bill (14). The bytes that are signed are the bytes that are sent.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from wechatpayv3.async_.utils import build_authorization, rsa_sign

from kit import keys
from kit.http import outside_client, untie
from payments.wechatpay import signature
from payments.wechatpay.answers import Refused, Unknown, refusal
from payments.wechatpay.keyring import BadCertificates, CannotOpen, Keyring

__all__ = ["Connection", "Refused", "Unknown"]

log = structlog.get_logger()

_WHOLE_S = 20.0
"""An answer that trickles is no answer."""
_MAX_ANSWER = 1 << 20
_ACCEPTED = 202
_REQUEST_TIMEOUT = 408
_TOO_FAST = 429
_LEARN_AGAIN_S = 60.0
"""Certificates are asked for at most so often because of an unknown serial."""


class Connection:
    """One per process. `url` is WeChat Pay's host; nothing else is ever spoken to."""

    def __init__(
        self,
        *,
        url: str,
        mchid: str,
        cert_serial: str,
        private_key: str,
        keyring: Keyring,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.keyring = keyring
        self._mchid = mchid
        self._cert_serial = cert_serial
        self._private_key = keys.private_key(private_key)
        self._http = client or outside_client()
        self._learning: asyncio.Task[None] | None = None
        self._learned_at = -_LEARN_AGAIN_S

    async def close(self) -> None:
        await self._http.aclose()

    async def call(
        self, method: str, path: str, body: Any = None, *, serial: str | None = None, accepted: bool = False
    ) -> bytes:
        """The body of a 2xx with a good signature. Raises `Refused` or `Unknown`.

        `path` carries its query, already encoded. `serial` names the key that sealed members of `body` are for. A 202
        is an `Unknown` unless `accepted` says that it is an answer here.
        """
        status, headers, raw = await self._exchange(method, path, body, serial)
        if status == _ACCEPTED and not accepted:
            raise Unknown("HTTP 202")
        await self._verify(headers, raw)
        return raw

    async def refresh_keys(self) -> None:
        """Download the platform certificates: at start and every 12 hours, unless only a public key is used.

        Raises `Refused`, `Unknown`; then the present ones stay.
        """
        if self._learning is None:
            self._learning = asyncio.create_task(self._refresh())
            self._learning.add_done_callback(self._learned)
        await asyncio.shield(self._learning)

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a file at WeChat Pay as they come, packed or not; its answer carries no signature.

        Raises `Unknown` for an address elsewhere: WeChat's word does not send us to other hosts.
        """
        path = self._path_of(url)
        headers = self._headers("GET", path, "", None)
        try:
            async with self._http.stream("GET", self.url + path, headers=headers) as response:
                if response.status_code != 200:
                    raise _failure(response.status_code, await _bounded(response))
                yield response.aiter_raw()
        except httpx.HTTPError as error:
            raise Unknown(type(error).__name__) from error

    @asynccontextmanager
    async def statement(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Overseas bills: the text at once. Its SHA-1 stands in a header, and that is what WeChat signs."""
        headers = self._headers("GET", path, "", None)
        try:
            async with self._http.stream("GET", self.url + path, headers=headers) as response:
                if response.status_code != 200:
                    raise _failure(response.status_code, await _bounded(response))
                announced = response.headers.get("wechatpay-statement-sha1", "")
                await self._verify(response.headers, b'{"sha1":"%s"}' % announced.encode())
                yield _hashed(response.aiter_bytes(), announced)
        except httpx.HTTPError as error:
            raise Unknown(type(error).__name__) from error

    def sign(self, *lines: str) -> str:
        """Our signature over `lines`, each ended by a line feed: for clients that open a payment (RSA, 0.5 ms)."""
        return str(rsa_sign(self._private_key, "\n".join(lines) + "\n"))

    async def _exchange(
        self, method: str, path: str, body: Any, serial: str | None
    ) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body of a 2xx, not yet verified."""
        raw = "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        headers = self._headers(method, path, raw, serial)
        try:
            async with asyncio.timeout(_WHOLE_S):
                request = self._http.stream(method, self.url + path, content=raw.encode() or None, headers=headers)
                async with request as response:
                    answer = await _bounded(response)
            untie(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unknown(type(error).__name__) from error
        if not 200 <= response.status_code < 300:
            raise _failure(response.status_code, answer)
        return response.status_code, response.headers, answer

    def _headers(self, method: str, path: str, raw: str, serial: str | None) -> dict[str, str]:
        headers = {
            "Authorization": build_authorization(
                path, method, self._mchid, self._cert_serial, self._private_key, data=raw
            ),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "wechat-shop/1",  # WeChat refuses some calls without one
        }
        if raw:
            headers["Content-Type"] = "application/json"
        # Naming the public key in every call makes WeChat answer with it (defect 15: the package does so too).
        if wanted := serial or self.keyring.public_key_id:
            headers["Wechatpay-Serial"] = wanted
        return headers

    async def _verify(self, headers: httpx.Headers, raw: bytes) -> None:
        """Raises `Unknown` unless WeChat signed this just now. A serial we do not know is asked for, once a minute."""
        try:
            try:
                signature.check(headers, raw, self.keyring.find, time.time())
            except signature.UnknownSerial:
                if not await self._learn():
                    raise
                signature.check(headers, raw, self.keyring.find, time.time())
        except signature.BadSignature as error:
            raise Unknown(str(error)) from error

    async def _learn(self) -> bool:
        """Fetch certificates because an answer names one we lack; whether it was worth trying."""
        if not self.keyring.uses_certificates:
            return False
        if self._learning is None and time.monotonic() - self._learned_at < _LEARN_AGAIN_S:
            return False
        self._learned_at = time.monotonic()
        try:
            await self.refresh_keys()
        except (Refused, Unknown) as error:
            log.warning("platform certificates not learned", answer=str(error))
            return False
        return True

    async def _refresh(self) -> None:
        _, headers, raw = await self._exchange("GET", "/v3/certificates", None, None)
        try:
            self.keyring.take_over(headers, raw, time.time())
        except (BadCertificates, CannotOpen) as error:
            log.exception("platform certificates not taken over")
            raise Unknown(f"certificates: {error or type(error).__name__}") from error

    def _learned(self, task: asyncio.Task[None]) -> None:
        self._learning = None
        if not task.cancelled():
            task.exception()  # every waiter has it; without any, it was logged

    def _path_of(self, url: str) -> str:
        """What to ask our gateway for (defect 14: the package strips only the very prefix it was given)."""
        there, here = urlsplit(url), urlsplit(self.url)
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()) or not there.path.startswith("/"):
            raise Unknown("a download address on another host")
        return f"{there.path}?{there.query}" if there.query else there.path


def _failure(status: int, raw: bytes) -> Refused | Unknown:
    """4xx is a no; whatever else is not a 2xx may or may not have happened."""
    if status in {_REQUEST_TIMEOUT, _TOO_FAST} or not 400 <= status < 500:
        return Unknown(f"HTTP {status}")
    return refusal(status, raw)


async def _bounded(response: httpx.Response) -> bytes:
    raw = b""
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > _MAX_ANSWER:
            raise Unknown("an answer without end")
    return raw


async def _hashed(pieces: AsyncIterator[bytes], announced: str) -> AsyncIterator[bytes]:
    sha1 = hashlib.sha1(usedforsecurity=False)
    async for piece in pieces:
        sha1.update(piece)
        yield piece
    if sha1.hexdigest() != announced.lower():
        raise Unknown("a statement without the SHA-1 that was announced")
