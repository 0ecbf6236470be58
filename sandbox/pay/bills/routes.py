"""Paths of bills."""

from sandbox.pay.bills import asking
from sandbox.pay.route import Route

ROUTES = [
    Route("GET", "/v3/bill/tradebill", asking.trade, needs=("bill_date",)),
    Route("GET", "/v3/bill/fundflowbill", asking.fund_flow, needs=("bill_date",)),
    Route("GET", "/v3/profitsharing/bills", asking.sharing, needs=("bill_date",)),
    Route("GET", "/v3/billdownload/file", asking.download),
]
