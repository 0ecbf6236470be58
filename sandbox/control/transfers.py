"""Levers on transfers: the user takes one or taps it away, or it fails."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from sandbox.control.levers import NotHere, NotNow
from sandbox.pay.transfers import receiving, states
from sandbox.pay.transfers.objects import view
from sandbox.world import World

PAGE = 200


class Taker(msgspec.Struct, forbid_unknown_fields=True):
    """Who confirms; ``package_info`` as the Mini Program passed it, to see that it was the right one."""

    openid: str | None = None
    package_info: str | None = None


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    """Why it fails."""

    reason: Literal[receiving.REASONS]  # type: ignore[valid-type]  # the list stands in one place


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/transfers", summary="Transfers, the latest first")
    async def transfers(only: Annotated[str | None, QueryParameter(name="state")] = None) -> dict[str, Any]:
        return {"items": [item for item in list_transfers(world) if only in {None, item["state"]}]}

    @post("/_sandbox/transfers/{out_bill_no:str}/confirm", status_code=200, summary="The user takes the money")
    async def confirm(request: Request[Any, Any, Any], out_bill_no: FromPath[str]) -> dict[str, Any]:
        taker = await _taker(request)
        return _do(lambda: _confirm(world, out_bill_no, taker))

    @post("/_sandbox/transfers/{out_bill_no:str}/refuse", status_code=200, summary="The user taps it away")
    async def refuse(out_bill_no: FromPath[str]) -> dict[str, Any]:
        return _do(lambda: receiving.decline(world, out_bill_no))

    @post("/_sandbox/transfers/{out_bill_no:str}/fail", status_code=200, summary="It fails, for a reason of WeChat's")
    async def fail(data: JSONBody[Failure], out_bill_no: FromPath[str]) -> dict[str, Any]:
        return _do(lambda: receiving.fail(world, out_bill_no, data.reason))

    return [transfers, confirm, refuse, fail]


def list_transfers(world: World, limit: int = PAGE) -> list[dict[str, Any]]:
    """Transfers as a query shows them, the name left out, the package beside while it is of use."""
    states.settle_due(world)
    items = []
    for row in world.db.rows("SELECT * FROM transfers ORDER BY created_at DESC LIMIT ?", limit):
        item = view(world, row)
        item.pop("user_name", None)
        waits = row["state"] == "WAIT_USER_CONFIRM"
        seconds_left = round(row["created_at"] + states.CONFIRM_S - world.clock.now(), 1) if waits else None
        package = row["package_info"] if waits else None
        shown = {"package_info": package, "declined": row["declined_at"] is not None, "seconds_left": seconds_left}
        items.append(item | shown)
    return items


def _confirm(world: World, out_bill_no: str, taker: Taker) -> dict[str, Any]:
    if taker.package_info is not None and receiving.of_package(world, taker.package_info) != out_bill_no:
        raise states.IllegalMove("The package is another transfer's.")
    return receiving.confirm(world, out_bill_no, taker.openid)


def _do(act: Any) -> dict[str, Any]:
    try:
        done: dict[str, Any] = act()
    except receiving.NoSuchTransfer as why:
        raise NotHere(str(why)) from None
    except states.IllegalMove as why:
        raise NotNow(str(why)) from None
    return done


async def _taker(request: Request[Any, Any, Any]) -> Taker:
    """The body is optional here."""
    raw = await request.body()
    try:
        return msgspec.json.decode(raw, type=Taker) if raw.strip() else Taker()
    except (msgspec.ValidationError, msgspec.DecodeError) as why:
        raise NotNow(str(why)) from None
