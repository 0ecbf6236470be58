"""Which right each route of the staff asks for, written out by hand.

The other tests read the right off the route's own guard, so a wrong one agrees with itself there. A new route needs a
line here, and whoever writes it decides a second time who may.
"""

from litestar.routes import HTTPRoute

from shop.admin.roles import CLERK, MANAGER
from shop.app import create_app
from shop.settings import Settings

RIGHTS: dict[str | None, str] = {
    None: """
        POST /sign-in
        POST /sign-out
        GET /me
        POST /me/password
    """,
    "audit.read": "GET /audit",
    "catalog.read": """
        GET /categories
        GET /products
        GET /products/{product_id}
        GET /stock/{sku_id}
    """,
    "catalog.write": """
        POST /categories
        PUT /categories/{category_id}
        POST /products
        PUT /products/{product_id}
        POST /products/{product_id}/off-sale
        POST /products/{product_id}/on-sale
    """,
    "stock.adjust": """
        PUT /stock/{sku_id}
        POST /stock/{sku_id}/adjust
    """,
    "shipping.write": """
        GET /freight-templates
        GET /freight-templates/{template_id}
        PUT /freight-templates/{template_id}
    """,
    "orders.read": """
        GET /orders
        GET /orders/{no}
        GET /orders/{no}/refunds
    """,
    "orders.ship": "POST /orders/{no}/ship",
    "orders.charge": """
        GET /orders/{no}/charge-code
        POST /orders/{no}/charge-code
        POST /orders/{no}/charge-code/cancel
    """,
    "orders.close": "POST /orders/{no}/close",
    "orders.reprice": "POST /orders/{no}/reprice",
    "orders.refund": "POST /orders/{no}/refunds",
    "refunds.approve": """
        POST /refunds/{no}/approve
        POST /refunds/{no}/reject
    """,
    "payments.read": """
        GET /declarations
        GET /payment-exceptions
        GET /payment-exceptions/{case_id}
        GET /payment-policy
        GET /payments
        GET /payments/{no}/shares
        GET /payout-policy
        GET /refunds
        GET /refunds/{no}
        GET /share-receivers
        GET /transfers
        GET /transfers/{no}
    """,
    "payments.decide": """
        POST /payment-exceptions/{case_id}/apply
        POST /payment-exceptions/{case_id}/ask
        POST /payment-exceptions/{case_id}/resolve
        POST /payment-exceptions/{case_id}/send-back
        POST /refunds/{no}/apply-abnormal
        POST /refunds/{no}/refresh
        POST /refunds/{no}/retry
    """,
    "payments.policy": """
        PUT /payment-policy
        PUT /payout-policy
    """,
    "payouts.create": """
        POST /declarations/{declaration_id}/again
        POST /members/{member_id}/transfers
        POST /payments/{no}/declarations
        POST /payments/{no}/shares
        POST /shares/{no}/parts/{n}/returns
        POST /transfers/{no}/cancel
    """,
    "payouts.approve": "POST /transfers/{no}/approve",
    "payouts.receivers": """
        POST /share-receivers
        POST /share-receivers/{receiver_id}/remove
    """,
    "ledger.read": """
        GET /ledger/balances
        GET /ledger/postings
    """,
    "reconciliation.read": """
        GET /reconciliation/days
        GET /reconciliation/days/{day}
        GET /reconciliation/days/{day}/differences
    """,
    "reconciliation.download": "GET /reconciliation/days/{day}/bills/{kind}",
    "reconciliation.run": "POST /reconciliation/days/{day}/run",
    "members.read": "GET /members/{member_id}",
    "members.write": """
        POST /members/{member_id}/disable
        POST /members/{member_id}/enable
    """,
    "members.erase": "POST /members/{member_id}/erase",
    "staff.manage": """
        GET /staff
        POST /staff
        PUT /staff/{staff_id}
        PUT /staff/{staff_id}/password
    """,
    "jobs.manage": """
        GET /jobs/failed
        POST /jobs/{job_id}/retry
    """,
}
A_CLERKS = {"catalog.read", "stock.read", "orders.read", "orders.ship", "orders.charge"}


def test_each_route_asks_for_the_right_of_the_table(unconnected: Settings) -> None:
    asked = {}
    for route in create_app(unconnected).routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/admin"):
            for handler in route.route_handlers:
                right = next((guard.permission for guard in handler.guards or () if hasattr(guard, "permission")), None)
                asked |= {f"{method} {route.path_format}": right for method in handler.http_methods - {"OPTIONS"}}
    table = {right: routes.strip().splitlines() for right, routes in RIGHTS.items()}
    assert asked == {
        route.strip().replace(" ", " /admin/v1"): right for right, routes in table.items() for route in routes
    }


def test_who_holds_which_right() -> None:
    assert CLERK == A_CLERKS
    assert set(RIGHTS) - {None} | A_CLERKS == MANAGER
