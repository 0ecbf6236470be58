"""Paths of profit sharing."""

from sandbox.pay.route import Route
from sandbox.pay.sharing import forms, receivers, returns, sharing

ROOT = "/v3/profitsharing"

ROUTES = [
    Route("POST", f"{ROOT}/receivers/add", receivers.add, forms.ADD, sealed=(receivers.NAME,)),
    Route("POST", f"{ROOT}/receivers/delete", receivers.delete, forms.DELETE),
    Route("POST", f"{ROOT}/orders", sharing.share, forms.SHARE, sealed=("/receivers/*/name",)),
    Route("POST", f"{ROOT}/orders/unfreeze", sharing.unfreeze, forms.UNFREEZE),
    Route("GET", f"{ROOT}/orders/{{out_order_no}}", sharing.look_up, needs=("transaction_id",)),
    Route("POST", f"{ROOT}/return-orders", returns.give_back, forms.RETURN),
    Route("GET", f"{ROOT}/return-orders/{{out_return_no}}", returns.look_up, needs=("out_order_no",)),
    Route(
        "GET",
        f"{ROOT}/transactions/{{transaction_id}}/amounts",
        lambda world, call: sharing.amounts(world, call.params["transaction_id"]),
    ),
    Route(
        "GET",
        f"{ROOT}/merchant-configs/{{sub_mchid}}",
        lambda world, call: sharing.merchant_config(world, call.params["sub_mchid"]),
    ),
]
