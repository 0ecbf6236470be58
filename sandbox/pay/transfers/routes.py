"""Paths of transfers."""

from sandbox.pay.route import Route
from sandbox.pay.transfers import bills, forms

ROOT = "/v3/fund-app/mch-transfer"

ROUTES = [
    Route("POST", f"{ROOT}/transfer-bills", bills.order, forms.TRANSFER, sealed=(bills.NAME,)),
    Route(
        "GET",
        f"{ROOT}/transfer-bills/out-bill-no/{{out_bill_no}}",
        lambda world, call: bills.look_up(world, call.params["out_bill_no"]),
    ),
    Route(
        "GET",
        f"{ROOT}/transfer-bills/transfer-bill-no/{{transfer_bill_no}}",
        lambda world, call: bills.look_up_by_bill(world, call.params["transfer_bill_no"]),
    ),
    Route("POST", f"{ROOT}/transfer-bills/out-bill-no/{{out_bill_no}}/cancel", bills.cancel),
]
