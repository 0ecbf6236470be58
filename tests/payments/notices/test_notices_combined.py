"""A combination pays only when the notice is of a payment, whatever its plain text looks like."""

import os
from typing import Any

from cast import Shop
from liar import Liar
from traces import state_of


async def _told(shop: Shop, liar: Liar) -> tuple[str, dict[str, Any]]:
    """An unpaid order, and what WeChat would say if it were paid as part of a combination."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    total = await shop.sql.fetchval("SELECT amount_fen FROM payment WHERE out_trade_no = $1", out_trade_no)
    part = {
        "mchid": liar.settings.pay.mch_id,
        "out_trade_no": out_trade_no,
        "transaction_id": f"42000099992026{os.urandom(7).hex()}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": "2026-03-02T12:00:00+08:00",
        "amount": {"total_amount": total, "payer_amount": total, "currency": "CNY"},
    }
    whole = {
        "combine_appid": liar.settings.wechat.app_id,
        "combine_mchid": liar.settings.pay.mch_id,
        "combine_out_trade_no": "C2026030200000001",
        "sub_orders": [part],
    }
    return no, whole


async def test_only_a_payments_notice_pays_a_combination(shop: Shop, liar: Liar) -> None:
    no, whole = await _told(shop, liar)
    for kind, event in (("profitsharing", "TRANSACTION.SUCCESS"), ("transaction", "TRANSACTION.PAY_BACK")):
        answer = await liar.send(liar.envelope(whole, event, resource=liar.sealed(whole, kind)))
        assert answer.status_code == 204
        assert await state_of(shop, no) == "unpaid", (kind, event)
    assert (await liar.send(liar.envelope(whole))).status_code == 204
    assert await state_of(shop, no) == "paid"
