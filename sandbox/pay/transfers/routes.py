"""Paths of transfers."""

from sandbox.pay.route import Route
from sandbox.pay.transfers import bills, forms, receipts

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
    Route("POST", f"{ROOT}/elecsign/out-bill-no", receipts.apply, forms.RECEIPT_BY_NUMBER),
    Route("POST", f"{ROOT}/elecsign/transfer-bill-no", receipts.apply, forms.RECEIPT_BY_BILL),
    Route("GET", f"{ROOT}/elecsign/out-bill-no/{{out_bill_no}}", receipts.look_up),
    Route("GET", f"{ROOT}/elecsign/transfer-bill-no/{{transfer_bill_no}}", receipts.look_up),
    Route("GET", "/v3/transferdownload/signfile", receipts.download, needs=("token",)),
]
