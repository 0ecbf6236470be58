"""Paths of partner mode; refunds, bills and profit sharing have the ordinary ones."""

from typing import Any

from sandbox.pay import codepay, orders, parties
from sandbox.pay.exchange import Call
from sandbox.pay.partner import forms
from sandbox.pay.partner.orders import as_direct
from sandbox.pay.route import Handler, Route, h5_url
from sandbox.world import World

ROOT = "/v3/pay/partner/transactions"
SP_AND_SUB = ("sp_mchid", "sub_mchid")


def _placed(world: World, trade_type: str, call: Call) -> Any:
    return orders.place(world, trade_type, as_direct(world, trade_type, call.json))


def _prepay_id(trade_type: str) -> Handler:
    return lambda world, call: {"prepay_id": _placed(world, trade_type, call)["prepay_id"]}


def _native(world: World, call: Call) -> dict[str, Any]:
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={_placed(world, 'NATIVE', call)['code']}"}


def _h5(world: World, call: Call) -> dict[str, Any]:
    return {"h5_url": h5_url(world, call, _placed(world, "MWEB", call)["prepay_id"])}


def _by_number(world: World, call: Call) -> dict[str, Any]:
    parties.check_sub(world, dict(call.query), location="query")
    return orders.look_up(world, call.params["out_trade_no"])


def _by_transaction(world: World, call: Call) -> dict[str, Any]:
    parties.check_sub(world, dict(call.query), location="query")
    return orders.look_up_by_transaction(world, call.params["transaction_id"])


def _close(world: World, call: Call) -> None:
    parties.check_sub(world, call.json)
    orders.close(world, call.params["out_trade_no"])


def _code_pay(world: World, call: Call) -> dict[str, Any]:
    return codepay.pay(world, as_direct(world, codepay.TRADE_TYPE, call.json))


def _reverse(world: World, call: Call) -> dict[str, Any]:
    """What it answers names both sides, as it was asked."""
    number = call.params["out_trade_no"]
    codepay.reverse(world, number, as_direct(world, codepay.TRADE_TYPE, call.json))
    return call.json | {"out_trade_no": number}


_IDENTITY = ("/payer/identity/number", "/payer/identity/name")

ROUTES = [
    Route("POST", f"{ROOT}/jsapi", _prepay_id("JSAPI"), forms.ORDERS["JSAPI"], sealed=_IDENTITY),
    Route("POST", f"{ROOT}/app", _prepay_id("APP"), forms.ORDERS["APP"], sealed=_IDENTITY),
    Route("POST", f"{ROOT}/native", _native, forms.ORDERS["NATIVE"], sealed=_IDENTITY),
    Route("POST", f"{ROOT}/h5", _h5, forms.ORDERS["MWEB"], sealed=_IDENTITY),
    Route("POST", f"{ROOT}/codepay", _code_pay, forms.CODE_PAY),
    Route("POST", f"{ROOT}/out-trade-no/{{out_trade_no}}/reverse", _reverse, forms.REVERSE),
    Route("GET", f"{ROOT}/id/{{transaction_id}}", _by_transaction, needs=SP_AND_SUB),
    Route("GET", f"{ROOT}/out-trade-no/{{out_trade_no}}", _by_number, needs=SP_AND_SUB),
    Route("POST", f"{ROOT}/out-trade-no/{{out_trade_no}}/close", _close, forms.CLOSE),
]
