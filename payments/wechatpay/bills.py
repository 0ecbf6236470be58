"""Bills of a day: applied for, then streamed, unpacked in bounded memory (WeChat Pay v3, 账单)."""

import zlib
from collections.abc import AsyncIterator
from datetime import date
from urllib.parse import urlencode

import msgspec

from payments.trades import Word
from payments.wechatpay.answers import Unknown, read
from payments.wechatpay.speaker import Speaker

MAX_BYTES = 4 * 1024**3
"""Of text, unpacked: beyond it, no bill of a day is believed."""
_PIECE = 1 << 16
_GZIP = b"\x1f\x8b"
_BILL_TYPES = frozenset({"ALL", "SUCCESS", "REFUND", "RECHARGE_REFUND", "ALL_SPECIAL", "SUC_SPECIAL", "REF_SPECIAL"})
_ACCOUNTS = frozenset({"BASIC", "OPERATION", "FEES"})


class BillTicket(msgspec.Struct, frozen=True):
    """Where a bill can be had for five minutes, and the hash of its bytes, *unpacked*."""

    hash_type: Word
    hash_value: Word
    download_url: str


class Bills(Speaker):
    """What WeChat says that happened on a day in Beijing."""

    async def apply_trade(self, day: date, bill_type: str = "ALL") -> BillTicket:
        """`GET /v3/bill/tradebill`. Raises `Refused` (NOSTATEMENTEXIST, STATEMENTCREATING, …), `Unknown`."""
        if bill_type not in _BILL_TYPES:
            raise ValueError(f"bill_type must be one of {', '.join(sorted(_BILL_TYPES))}")
        asked = {"bill_date": day.isoformat(), "bill_type": bill_type, "tar_type": "GZIP", **self.merchant.sub()}
        return await self._apply("tradebill", asked)

    async def apply_fund_flow(self, day: date, account: str = "BASIC") -> BillTicket:
        """`GET /v3/bill/fundflowbill`: of who signs, so never of a sub-merchant. Raises as `apply_trade`."""
        if account not in _ACCOUNTS:
            raise ValueError(f"account must be one of {', '.join(sorted(_ACCOUNTS))}")
        return await self._apply(
            "fundflowbill", {"bill_date": day.isoformat(), "account_type": account, "tar_type": "GZIP"}
        )

    async def download(self, url: str, *, limit_bytes: int = MAX_BYTES) -> AsyncIterator[bytes]:
        """The text of a bill, in pieces of at most 64 KiB. Nothing of it is verified here: hash what comes.

        Raises `Refused`, and `Unknown` for what breaks off, is packed badly, or has more than `limit_bytes`.
        """
        size = 0
        async with self.connection.download(url) as packed:
            async for piece in _unpacked(_unpacked(packed)):  # once by WeChat, and perhaps once more on the way
                size += len(piece)
                if size > limit_bytes:
                    raise Unknown(f"a bill of more than {limit_bytes} bytes")
                yield piece

    async def _apply(self, which: str, asked: dict[str, str]) -> BillTicket:
        return read(await self.connection.call("GET", f"/v3/bill/{which}?{urlencode(asked)}"), BillTicket)

    async def statement(self, day: date) -> AsyncIterator[bytes]:
        """Overseas, `GET /v3/global/statements`: streamed at once, without a ticket.

        No description of its columns is known, so reconciliation reads none.
        Raises `Refused`, and `Unknown` also for a text that does not have the SHA-1 that WeChat signed.
        """
        asked = {"date": day.strftime("%Y%m%d"), **self.merchant.numbers()}
        async with self.connection.statement(f"/v3/global/statements?{urlencode(asked)}") as pieces:
            async for piece in pieces:
                yield piece


async def _unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """As they are, or gunzipped: the first two bytes tell, for headers have been wrong."""
    head = b""
    async for piece in pieces:
        head += piece
        if len(head) >= len(_GZIP):
            break
    if not head.startswith(_GZIP):
        if head:
            yield head
        async for piece in pieces:
            yield piece
        return
    async for piece in _gunzipped(head, pieces):
        yield piece


async def _gunzipped(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Never more than 64 KiB at once, whatever a few packed bytes may hold. A file may have several members."""
    unpacker, rest, more = zlib.decompressobj(wbits=31), head, True
    try:
        while more:
            out = unpacker.decompress(rest, _PIECE)
            if out:
                yield out
            rest = unpacker.unused_data.lstrip(b"\0") if unpacker.eof else unpacker.unconsumed_tail  # zeros pad the end
            if unpacker.eof and rest:
                unpacker = zlib.decompressobj(wbits=31)
            elif not rest and len(out) < _PIECE:  # a full piece may have company that needs no more input
                while more and not rest:
                    following = await anext(pieces, None)
                    more, rest = following is not None, following or b""
                    if unpacker.eof and (rest := rest.lstrip(b"\0")):
                        unpacker = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise Unknown("a bill that does not unpack") from error
    if not unpacker.eof:
        raise Unknown("a bill that breaks off")
