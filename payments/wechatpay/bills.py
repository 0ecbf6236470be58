"""Bills: applied for, then downloaded from an address that lives five minutes.

The download is asked for with a signature like any call, and comes without one: only the SHA-1 of its uncompressed bytes,
announced by the signed ticket, vouches for it. It may be packed by the file, by the transport, or not at all.
"""

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from urllib.parse import urlsplit

import httpx
import msgspec

from payments.wechatpay.calling import Caller
from payments.wechatpay.gateway import Unknown

_PATH = "/v3/billdownload/file"
_GZIP = b"\x1f\x8b"
_PIECE_BYTES = 256 * 1024


class BillTicket(msgspec.Struct, frozen=True):
    hash_type: str
    hash_value: str
    """Of the uncompressed bytes."""
    download_url: str


OpenSigned = Callable[[str], AbstractAsyncContextManager[httpx.Response]]
"""GET a path with its query, signed; the answer's body is not read yet."""


class Bills:
    def __init__(self, caller: Caller, open_signed: OpenSigned) -> None:
        self._caller = caller
        self._open = open_signed

    async def apply_trade(self, day: date, bill_type: str = "ALL") -> BillTicket:
        """`GET /v3/bill/tradebill`. Raises `Refused` (`STATEMENTCREATING`, `NOSTATEMENTEXIST`, …) or `Unknown`."""
        return await self._apply(f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type={bill_type}&tar_type=GZIP")

    async def apply_fund_flow(self, day: date, account: str = "BASIC") -> BillTicket:
        """`GET /v3/bill/fundflowbill`. The same refusals."""
        return await self._apply(
            f"/v3/bill/fundflowbill?bill_date={day.isoformat()}&account_type={account}&tar_type=GZIP"
        )

    async def _apply(self, path: str) -> BillTicket:
        try:
            return msgspec.json.decode(await self._caller.call("GET", path), type=BillTicket)
        except msgspec.MsgspecError as error:
            raise Unknown("an answer that cannot be read") from error

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """The bill's bytes, unpacked, a piece at a time. Raises `Unknown`: apply again.

        Asked of the host that is configured, whatever the address says: no other one gets our signature.
        """
        parts = urlsplit(url)
        if parts.path != _PATH:
            raise Unknown("the address is no bill's")
        try:
            async with self._open(f"{parts.path}?{parts.query}") as answer:
                if answer.status_code != httpx.codes.OK:
                    raise Unknown(f"HTTP {answer.status_code}")
                async for piece in unpacked(answer.aiter_bytes(_PIECE_BYTES)):
                    yield piece
        except (httpx.TransportError, httpx.DecodingError, zlib.error) as error:
            raise Unknown(type(error).__name__) from error


async def unpacked(packed: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Unpacks gzip, and passes on what is not. Pieces stay small however well they were packed."""
    head = b""
    async for piece in packed:
        head += piece
        if len(head) >= len(_GZIP):
            break
    if not head.startswith(_GZIP):
        yield head
        async for piece in packed:
            yield piece
        return
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    yield unpacking.decompress(head, _PIECE_BYTES)
    async for piece in packed:
        rest = unpacking.unconsumed_tail + piece
        while rest:
            yield unpacking.decompress(rest, _PIECE_BYTES)
            rest = unpacking.unconsumed_tail
    while rest := unpacking.unconsumed_tail:
        yield unpacking.decompress(rest, _PIECE_BYTES)
    if not unpacking.eof:
        raise Unknown("the download broke off")
