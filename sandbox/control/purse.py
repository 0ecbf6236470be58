"""Levers on the merchant's money: what is available, to the bank and back, and every movement."""

import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post
from litestar.params import FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.clock import day as day_of
from sandbox.clock import on_the_wire
from sandbox.control.levers import NotNow
from sandbox.pay import book
from sandbox.world import World

PAGE = 200


class Balance(msgspec.Struct, forbid_unknown_fields=True):
    """What is available from now on: an amount, what the book says, or with ``null`` enough for anything."""

    fen: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | Literal["book"] | None


class Sum(msgspec.Struct, forbid_unknown_fields=True):
    """How much goes to the bank, or comes from it."""

    fen: Annotated[int, msgspec.Meta(ge=1, le=10**15)]
    account: book.Account = "BASIC"


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/merchant/balance", summary="What is available, and what each account holds")
    async def show() -> dict[str, Any]:
        accounts: tuple[book.Account, ...] = ("BASIC", "OPERATION", "FEES")
        held = {account: book.balance_fen(world, account) for account in accounts}
        return {"fen": world.knobs.balance_fen, "accounts": held}

    @post("/_sandbox/merchant/balance", status_code=200, summary="What refunds, transfers and withdrawals take from")
    async def set_balance(data: JSONBody[Balance]) -> dict[str, int | None]:
        world.knobs.balance_fen = max(book.balance_fen(world), 0) if data.fen == "book" else data.fen
        world.keep_knobs()
        return {"fen": world.knobs.balance_fen}

    @post("/_sandbox/merchant/withdraw", status_code=201, summary="Money goes to the merchant's bank")
    async def withdraw(data: JSONBody[Sum]) -> dict[str, Any]:
        if data.fen > book.balance_fen(world, data.account) or not book.covers(world, data.fen):
            raise NotNow("The merchant has not so much.")
        return _move(world, "withdrawal", -data.fen, data.account)

    @post("/_sandbox/merchant/top-up", status_code=201, summary="Money comes from the merchant's bank")
    async def top_up(data: JSONBody[Sum]) -> dict[str, Any]:
        return _move(world, "top_up", data.fen, data.account)

    @get("/_sandbox/movements", summary="The money book, the latest first")
    async def movements(account: FromQuery[str] = "BASIC") -> dict[str, Any]:
        rows = world.db.rows("SELECT * FROM movements WHERE account = ? ORDER BY id DESC LIMIT ?", account, PAGE)
        return {"items": [{**dict(row), "at": on_the_wire(row["at"])} for row in rows]}

    return [show, set_balance, withdraw, top_up, movements]


def _move(world: World, kind: Literal["withdrawal", "top_up"], fen: int, account: book.Account) -> dict[str, Any]:
    number = f"1010{day_of(world.clock.now())}{secrets.randbelow(10**16):016d}"
    with world.db.transaction():
        by = f"{world.keys.identity.mch_id}"
        book.book(world, kind, fen, business_id=number, account=account, applicant=by, note="商户平台操作")
    world.changed.set()
    return {"business_id": number, "fen": fen, "balance_fen": book.balance_fen(world, account)}
