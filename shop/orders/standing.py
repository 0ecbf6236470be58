"""What an order's state means to its buyer: its name, and what may be done now. The server decides, clients show it."""

from typing import Final

import msgspec

from shop.orders.models import AWAITING, OrderState

_TEXTS: Final = {
    OrderState.UNPAID: ("待付款", "Awaiting payment"),
    OrderState.CLOSING: ("关闭中", "Closing"),
    OrderState.CANCELLED: ("已取消", "Cancelled"),
    OrderState.PAID: ("待发货", "To be shipped"),
    OrderState.SHIPPED: ("待收货", "On its way"),
    OrderState.COMPLETED: ("已完成", "Completed"),
    OrderState.REFUNDED: ("已退款", "Refunded"),
}
_ACTIONS: Final[dict[OrderState, tuple[str, ...]]] = {
    OrderState.UNPAID: ("pay", "cancel"),
    OrderState.SHIPPED: ("confirm",),
}


class Standing(msgspec.Struct, rename="camel"):
    """Part of an `OrderView`."""

    state: OrderState
    state_text: str
    actions: list[str]


def of(state: OrderState, language: str, *, payable: bool) -> Standing:
    """`payable`: there is time left to pay, where it is not paid."""
    actions = [action for action in _ACTIONS.get(state, ()) if payable or action != "pay"]
    return Standing(state, _TEXTS[state][language == "en"], actions)


def _said(state: OrderState, language: str, *, payable: bool) -> str:
    """The inside of a JSON object, as a literal of SQL's. No quote is in it, and no colon that begins a name."""
    said = msgspec.json.encode(of(state, language, payable=payable)).decode()[1:-1]
    assert "'" not in said, "it would end the literal"
    return f"'{said}'"


def _said_in(language: str) -> str:
    cases = " ".join(
        f"WHEN '{state}' THEN CASE WHEN o.left_ms = 0 THEN {_said(state, language, payable=False)}"
        f" ELSE {_said(state, language, payable=True)} END"
        if state in AWAITING
        else f"WHEN '{state}' THEN {_said(state, language, payable=True)}"
        for state in OrderState
    )
    return f"CASE o.state {cases} END"


SAID: Final = f"CASE WHEN o.english THEN {_said_in('en')} ELSE {_said_in('zh')} END"
"""The same in SQL, the inside of a JSON object: of a row `o` with `state`, `left_ms` (time left to pay) and `english`."""
