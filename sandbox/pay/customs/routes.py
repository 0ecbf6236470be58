"""Paths of customs declaration; merchants at home who import use them as well as overseas ones."""

from sandbox.pay.customs import declarations, forms
from sandbox.pay.route import Route

ROOT = "/v3/global/customs"

ROUTES = [
    Route("POST", f"{ROOT}/orders", declarations.declare, forms.DECLARE),
    Route("PATCH", f"{ROOT}/orders", declarations.amend, forms.AMEND),
    Route(
        "GET",
        f"{ROOT}/orders",
        declarations.look_up,
        needs_mchid=True,
        needs=("appid", "order_type", "order_no", "customs"),
    ),
    Route("POST", f"{ROOT}/redeclare", declarations.redeclare, forms.REDECLARE),
    Route("POST", f"{ROOT}/verify-certificate", declarations.verify, forms.VERIFY, sealed=declarations.NAMES),
]
