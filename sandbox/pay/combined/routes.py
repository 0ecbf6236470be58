"""Paths of combined payment."""

from typing import Any

from sandbox.pay.combined import combinations, forms
from sandbox.pay.exchange import Call
from sandbox.pay.route import Handler, Route, h5_url
from sandbox.world import World

ROOT = "/v3/combine-transactions"


def _prepay_id(trade_type: str) -> Handler:
    return lambda world, call: {"prepay_id": combinations.place(world, trade_type, call.json)["prepay_id"]}


def _native(world: World, call: Call) -> dict[str, Any]:
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={combinations.place(world, 'NATIVE', call.json)['code']}"}


def _h5(world: World, call: Call) -> dict[str, Any]:
    return {"h5_url": h5_url(world, call, combinations.place(world, "MWEB", call.json)["prepay_id"])}


ROUTES = [
    Route("POST", f"{ROOT}/jsapi", _prepay_id("JSAPI"), forms.COMBINATIONS["JSAPI"]),
    Route("POST", f"{ROOT}/app", _prepay_id("APP"), forms.COMBINATIONS["APP"]),
    Route("POST", f"{ROOT}/native", _native, forms.COMBINATIONS["NATIVE"]),
    Route("POST", f"{ROOT}/h5", _h5, forms.COMBINATIONS["MWEB"]),
    Route(
        "GET",
        f"{ROOT}/out-trade-no/{{combine_out_trade_no}}",
        lambda world, call: combinations.look_up(world, call.params["combine_out_trade_no"]),
    ),
    Route(
        "POST",
        f"{ROOT}/out-trade-no/{{combine_out_trade_no}}/close",
        lambda world, call: combinations.close(world, call.params["combine_out_trade_no"], call.json),
        forms.CLOSE,
    ),
]
