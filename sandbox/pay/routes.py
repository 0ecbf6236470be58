"""Which paths exist, and what each one calls."""

from typing import Any
from urllib.parse import unquote

from sandbox.pay import certificates, codepay, echo, forms, orders, parties, refunds
from sandbox.pay.bills import routes as bills
from sandbox.pay.combined import routes as combined
from sandbox.pay.customs import routes as customs
from sandbox.pay.exchange import Call
from sandbox.pay.overseas import routes as overseas
from sandbox.pay.partner import routes as partner
from sandbox.pay.refusals import Nowhere, param_error
from sandbox.pay.route import Handler, Route, h5_url
from sandbox.pay.sharing import routes as sharing
from sandbox.pay.transfers import routes as transfers
from sandbox.world import World


def _prepay_id(trade_type: str) -> Handler:
    return lambda world, call: {"prepay_id": orders.place(world, trade_type, call.json)["prepay_id"]}


def _native(world: World, call: Call) -> dict[str, Any]:
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={orders.place(world, 'NATIVE', call.json)['code']}"}


def _h5(world: World, call: Call) -> dict[str, Any]:
    return {"h5_url": h5_url(world, call, orders.place(world, "MWEB", call.json)["prepay_id"])}


def _close(world: World, call: Call) -> None:
    orders.close(world, call.params["out_trade_no"])


def _refund(world: World, call: Call) -> dict[str, Any]:
    parties.check_sub(world, dict(call.query), location="query")
    return refunds.look_up(world, call.params["out_refund_no"])


_IDENTITY = ("/payer/identity/number", "/payer/identity/name")

ROUTES = [
    Route("POST", "/v3/pay/transactions/jsapi", _prepay_id("JSAPI"), forms.ORDERS["JSAPI"], sealed=_IDENTITY),
    Route("POST", "/v3/pay/transactions/app", _prepay_id("APP"), forms.ORDERS["APP"], sealed=_IDENTITY),
    Route("POST", "/v3/pay/transactions/native", _native, forms.ORDERS["NATIVE"], sealed=_IDENTITY),
    Route("POST", "/v3/pay/transactions/h5", _h5, forms.ORDERS["MWEB"], sealed=_IDENTITY),
    Route("POST", "/v3/pay/transactions/codepay", lambda world, call: codepay.pay(world, call.json), forms.CODE_PAY),
    Route(
        "POST",
        "/v3/pay/transactions/out-trade-no/{out_trade_no}/reverse",
        lambda world, call: codepay.reverse(world, call.params["out_trade_no"], call.json),
        forms.REVERSE,
    ),
    Route(
        "GET",
        "/v3/pay/transactions/id/{transaction_id}",
        lambda world, call: orders.look_up_by_transaction(world, call.params["transaction_id"]),
        needs_mchid=True,
    ),
    Route(
        "GET",
        "/v3/pay/transactions/out-trade-no/{out_trade_no}",
        lambda world, call: orders.look_up(world, call.params["out_trade_no"]),
        needs_mchid=True,
    ),
    Route("POST", "/v3/pay/transactions/out-trade-no/{out_trade_no}/close", _close, forms.CLOSE),
    Route("POST", "/v3/refund/domestic/refunds", lambda world, call: refunds.request(world, call.json), forms.REFUND),
    Route(
        "GET",
        "/v3/refund/domestic/refunds/{out_refund_no}",
        _refund,
    ),
    Route(
        "POST",
        "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund",
        lambda world, call: refunds.apply_abnormal(world, call.params["refund_id"], call.json),
        forms.ABNORMAL_REFUND,
        sealed=("/bank_account", "/real_name"),
    ),
    Route("POST", "/v3/security/echo", echo.answer, forms.ECHO, sealed=(echo.ENCRYPTED,)),
    Route("GET", "/v3/certificates", lambda world, _: certificates.download(world)),
    *bills.ROUTES,
    *combined.ROUTES,
    *transfers.ROUTES,
    *partner.ROUTES,
    *overseas.ROUTES,
    *customs.ROUTES,
    *sharing.ROUTES,
]


def find(call: Call) -> Route:
    """The route of a call, its ``params`` filled in. Raises :class:`Nowhere` with 404, or 405 for another method."""
    segments = call.path.split("/")
    status = 404
    for route in ROUTES:
        params = _match(route.path.split("/"), segments)
        if params is None:
            continue
        if route.method == call.method:
            call.params = params
            return route
        status = 405
    raise Nowhere(status)


def check_query(route: Route, call: Call) -> None:
    """Queries for an order must say whose, others what else belongs to it."""
    for name in (*(("mchid",) if route.needs_mchid else ()), *route.needs):
        if not call.query.get(name):
            label = "商户号" if name == "mchid" else name
            message = f"输入源“/query/{name}”映射到值字段“{label}”必填性规则校验失败，此字段为必填项"
            raise param_error(message, field=name, issue="此字段为必填项", location="query")


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    params = {}
    for wanted, given in zip(template, segments, strict=True):
        if wanted.startswith("{") and given:
            params[wanted.strip("{}")] = unquote(given)
        elif wanted != given:
            return None
    return params
