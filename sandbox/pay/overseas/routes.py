"""Paths of overseas merchants."""

from typing import Any

from sandbox.pay import orders
from sandbox.pay.exchange import Call
from sandbox.pay.forms import CLOSE
from sandbox.pay.overseas import forms, statements, trading
from sandbox.pay.route import Handler, Route, h5_url
from sandbox.world import World

ROOT = "/v3/global"


def _prepay_id(trade_type: str) -> Handler:
    return lambda world, call: {"prepay_id": trading.place(world, trade_type, call.json)["prepay_id"]}


def _native(world: World, call: Call) -> dict[str, Any]:
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={trading.place(world, 'NATIVE', call.json)['code']}"}


def _mweb(world: World, call: Call) -> dict[str, Any]:
    """Sources call the member either way."""
    url = h5_url(world, call, trading.place(world, "MWEB", call.json)["prepay_id"])
    return {"h5_url": url, "mweb_url": url}


def _close(world: World, call: Call) -> None:
    orders.close(world, call.params["out_trade_no"])


ROUTES = [
    Route("POST", f"{ROOT}/transactions/jsapi", _prepay_id("JSAPI"), forms.ORDERS["JSAPI"]),
    Route("POST", f"{ROOT}/transactions/app", _prepay_id("APP"), forms.ORDERS["APP"]),
    Route("POST", f"{ROOT}/transactions/native", _native, forms.ORDERS["NATIVE"]),
    Route("POST", f"{ROOT}/transactions/mweb", _mweb, forms.ORDERS["MWEB"]),
    Route(
        "GET",
        f"{ROOT}/transactions/id/{{id}}",
        lambda world, call: orders.look_up_by_transaction(world, call.params["id"]),
        needs_mchid=True,
    ),
    Route(
        "GET",
        f"{ROOT}/transactions/out-trade-no/{{out_trade_no}}",
        lambda world, call: orders.look_up(world, call.params["out_trade_no"]),
        needs_mchid=True,
    ),
    Route("POST", f"{ROOT}/transactions/out-trade-no/{{out_trade_no}}/close", _close, CLOSE),
    Route("POST", f"{ROOT}/refunds", trading.request_refund, forms.REFUND),
    Route("GET", f"{ROOT}/refunds", trading.list_refunds, needs_mchid=True),
    Route("GET", f"{ROOT}/refunds/out-refund-no/{{out_refund_no}}", trading.look_up_refund, needs_mchid=True),
    Route("GET", f"{ROOT}/refunds/id/{{refund_id}}", trading.look_up_refund_by_id, needs_mchid=True),
    Route("GET", f"{ROOT}/statements", statements.download, needs_mchid=True, needs=("date",)),
]
