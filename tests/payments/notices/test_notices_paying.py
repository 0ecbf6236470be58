"""Notices that are WeChat's pay only for what they are: a transaction, ours, of this merchant and app."""

import os
from typing import Any

from cast import Shop
from liar import Liar, unpaid_trade
from traces import open_cases, outcomes, state_of


async def test_only_a_transaction_pays(shop: Shop, liar: Liar) -> None:
    """The receiver of a profit sharing hears of it as TRANSACTION.SUCCESS; so might anything else one day."""
    no, trade = await unpaid_trade(shop, liar)
    for kind in ("profitsharing", "payscore", "refund", "Transaction", "transactions", "mch_payment", "security"):
        answer = await liar.send(liar.envelope(trade, resource=liar.sealed(trade, kind)))
        assert answer.status_code == 204, kind
        assert await state_of(shop, no) == "unpaid", kind
    for event in ("TRANSACTION.PAY_BACK", "REFUND.SUCCESS", "TRANSACTION", "COUPON.USE", "SECURITY_ECHO.SUCCESS"):
        answer = await liar.send(liar.envelope(trade, event, resource=liar.sealed(trade)))
        assert answer.status_code == 204, event
        assert await state_of(shop, no) == "unpaid", event
    assert set(await outcomes(shop)) <= {
        "strange_notice",
        "unreadable",
        "unknown_order",
        "unknown_receiver",
        "known",
    } | {
        "refund_mismatch",
        "unknown_refund",
    }
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE state = 'received'") == 0


async def test_associated_data_may_be_empty_or_absent(shop: Shop, liar: Liar) -> None:
    for absent in (True, False):
        no, trade = await unpaid_trade(shop, liar)
        resource = {**liar.sealed(trade, ""), "original_type": "transaction"}
        if absent:
            del resource["associated_data"]
        assert (await liar.send(liar.envelope(trade, resource=resource))).status_code == 204
        assert await state_of(shop, no) == "paid"


async def test_another_merchants_or_apps_payment_is_stored_and_never_applied(shop: Shop, liar: Liar) -> None:
    no, trade = await unpaid_trade(shop, liar)
    strangers: list[dict[str, Any]] = [
        {**trade, "mchid": "1900009999"},
        {**trade, "appid": "wx9999999999999999"},
        {k: v for k, v in trade.items() if k != "mchid"} | {"sp_mchid": "1900009999", "sub_mchid": "1900008888"},
        {k: v for k, v in trade.items() if k != "appid"} | {"sp_appid": "wx9999999999999999"},
        {**trade, "sp_mchid": "1900009999", "mchid": "1900009999"},
        {**trade, "sub_mchid": "1900008888"},
    ]
    for strange in strangers:
        named = {**strange, "transaction_id": f"42000099992026{os.urandom(7).hex()}"}
        assert (await liar.send(liar.envelope(named))).status_code == 204
        assert await state_of(shop, no) == "unpaid", strange
    assert await outcomes(shop) == ["wrong_account"] * len(strangers)
    assert await open_cases(shop) == ["wrong_account"] * len(strangers)
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE state = 'received'") == 0
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await state_of(shop, no) == "paid"


async def test_a_partner_takes_only_what_is_its_sub_merchants(shop: Shop, liar: Liar) -> None:
    """The same partner collects for others: what names another sub-merchant, or none, is not this shop's money."""
    no, trade = await unpaid_trade(shop, liar, sub_mchid="1900008888")
    await shop.sql.execute("UPDATE payment SET sub_mchid = '1900008888' WHERE payable = $1", no)
    for other in ({"sub_mchid": "1900007777"}, {"sub_mchid": None}):
        named = {**trade, **other, "transaction_id": f"42000099992026{os.urandom(7).hex()}"}
        sent = {name: value for name, value in named.items() if value is not None}
        assert (await liar.send(liar.envelope(sent))).status_code == 204
        assert await state_of(shop, no) == "unpaid", other
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await state_of(shop, no) == "paid"
