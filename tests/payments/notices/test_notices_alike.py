"""What is plain is said twice, in `bulk`'s statement for many and in `settlement` for one: here they answer alike."""

import itertools
from contextlib import suppress
from typing import Any

import msgspec
from cast import Shop
from liar import Liar, unpaid_trade
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments import bulk, settlement
from payments.refunds.rules import PaidElsewhere
from payments.trades import Trade
from shop.app import ShopPayee

Change = tuple[dict[str, str], dict[str, Any]]
"""Of our row, in SQL; and of what WeChat says."""

_RECEIVED = {"state": "'received'", "received_fen": "amount_fen", "received_at": "created_at"}
ODD: dict[str, Change] = {
    "closed": ({"state": "'closed'"}, {}),
    "received": ({**_RECEIVED, "transaction_id": "'T-own'"}, {}),
    "received otherwise": ({**_RECEIVED, "transaction_id": "'T-before'"}, {}),
    "reversing": ({"reversing_at": "created_at", "channel": "'code'"}, {}),
    "external": ({"external": "true"}, {}),
    "another merchant": ({}, {"mchid": "1900009999"}),
    "another app": ({}, {"appid": "wx9999999999999999"}),
    "a sub-merchant": ({}, {"sub_mchid": "1900008888"}),
    "not the sub-merchant": ({"sub_mchid": "'1900007777'"}, {}),
    "another amount": ({"amount_fen": "amount_fen + 1"}, {}),
    "another currency": ({"currency": "'HKD'"}, {}),
    "another payer": ({"openid": "'o-named'"}, {"payer": {"openid": "o-paid"}}),
    "a reused transaction": ({}, {"transaction_id": "T-reused"}),
}
EVEN: dict[str, Change] = {
    "as asked": ({}, {}),
    "still opening": ({"state": "'opening'"}, {}),
    "the payer named": ({"openid": "'o-named'"}, {"payer": {"openid": "o-named"}}),
    "nobody named": ({"openid": "NULL"}, {"payer": {"openid": "o-paid"}}),
    "the payer untold": ({"openid": "'o-named'"}, {"payer": {}}),
    "an empty sub-merchant": ({}, {"sub_mchid": ""}),
    "the sub-merchant": ({"sub_mchid": "'1900008888'"}, {"sub_mchid": "1900008888"}),
}
LEFT_ALONE = {"closed", "external"}
"""What `settlement` may apply, and `bulk` leaves to it."""
IMPOSSIBLE = [{"reversing", name} for name in ("received", "received otherwise")]
"""The database refuses them."""


async def test_alone_and_together_the_same_is_plain(shop: Shop, liar: Liar) -> None:
    """Each oddity alone, and every two of them; each case in a transaction that is rolled back."""
    _, before = await unpaid_trade(shop, liar, transaction_id="T-reused")
    assert (await liar.send(liar.envelope(before))).status_code == 204
    _, trade = await unpaid_trade(shop, liar, transaction_id="T-own")
    assert await _settled(shop, trade, ()) == (True, "applied", 0)
    cases = [(), *((name,) for name in (*EVEN, *ODD)), *itertools.combinations(ODD, 2)]
    plain = set()
    for names in cases:
        if set(names) in IMPOSSIBLE:
            continue
        together, alone, noted = await _settled(shop, trade, names)
        fits = alone == "applied" and noted == 0
        assert together == (fits and not LEFT_ALONE & set(names)), (names, together, alone, noted)
        plain |= {names} if together else set()
    assert plain == {(), *((name,) for name in EVEN)}


async def _settled(shop: Shop, trade: dict[str, Any], names: tuple[str, ...]) -> tuple[bool, str, int]:
    """Whether it is plain to `bulk`; what comes of it in `settlement`, and how many cases for a person."""
    row, said = {}, dict(trade)
    for name in names:
        ours, theirs = (EVEN | ODD)[name]
        row |= ours
        said |= theirs
    at, found = shop.world.clock.now(), msgspec.convert(said, Trade)
    with suppress(_Undone):
        async with shop.db.begin() as session:
            if row:
                changes = ", ".join(f"{column} = {value}" for column, value in row.items())
                await session.execute(
                    text(f"UPDATE payment SET {changes} WHERE out_trade_no = :no"), {"no": trade["out_trade_no"]}
                )
            together = await _plain(session, bulk.Paid("letter", found, at))
            try:
                alone = await settlement.settle(session, ShopPayee(), found, at)
            except PaidElsewhere:  # what cannot be sent back is not settled at all
                alone = "refused"
            noted = await session.scalar(text("SELECT count(*) FROM payment_exception"))
            raise _Undone
    return together, alone, int(noted)


class _Undone(Exception):
    """Nothing of it stays."""


async def _plain(session: AsyncSession, letter: bulk.Paid) -> bool:
    statement = """
        INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at)
        VALUES (:id, 'x', 'x', '', :at, :at)"""
    await session.execute(text(statement), {"id": letter.notice, "at": letter.at})
    connection = await (await session.connection()).get_raw_connection()
    return bool(await bulk._lock(connection.driver_connection, [letter]))
