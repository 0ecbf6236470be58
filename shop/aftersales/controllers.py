"""What the Mini Program calls: the after-sales of an order, and how far their money is."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency

from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.web.declared import declared
from kit.web.parameters import PathNo
from kit.web.problems import language_of
from shop.aftersales import views
from shop.aftersales.views import MyAfterSale
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn
from shop.orders import listing
from shop.orders.history import OrderNotFound


@get(
    "/orders/{no:str}/after-sales",
    operation_id="listMyAfterSales",
    summary="What of my order goes back, and how far its money is",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, OrderNotFound),
)
async def list_my_after_sales(
    request: Request[Any, Any, Any], no: PathNo, db: NamedDependency[Database], member: NamedDependency[SignedIn]
) -> list[MyAfterSale]:
    async with db.begin() as session:
        order = await listing.get(session, no, member_id=member.member_id)
        return await views.for_buyer(session, order, language_of(request))


ROUTES: list[Any] = [list_my_after_sales]
