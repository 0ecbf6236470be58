"""What leads to the points at which processes die: each deed is one order, and how it must end whoever dies on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
from battle import Battle
from processes import Part, name
from purchases import attempt_of, orders_of
from till import Buyer, until


def restart(battle: Battle, part: Part, place: str) -> Path:
    """Start `part` anew, to die at the first call of `place`; the file that will say that it did."""
    mark = battle.folder / f"mark-{part.log.stem}"  # its own: another part may have died at its place already
    mark.unlink(missing_ok=True)
    part.kill()
    part.start(CRASH_AT=f"{place}:1", CRASH_MARK=str(mark))
    return mark


class NoMail:
    """WeChat's news of payments is lost meanwhile."""

    def __init__(self, battle: Battle) -> None:
        self.world = battle.world

    def __enter__(self) -> Self:
        self.world.tell("delivery", mode="never")
        return self

    def __exit__(self, *_: object) -> None:
        self.world.tell("delivery", mode="normal")


class Deeds:
    """What leads to the points; each is one order, brought to where it must end whoever dies on the way."""

    def __init__(self, battle: Battle) -> None:
        self.battle = battle
        self.buyer: Buyer = battle.buyer(name("point"))
        self.sku = self.buyer.some_sku(5)["id"]
        more = {"delta": 1000, "reason": "入库"}
        assert battle.operator().until_answered("POST", f"/admin/v1/stock/{self.sku}/adjust", more).is_success
        self.acknowledged = orders_of(battle)
        self.ends: dict[str, str] = {}

    def do(self, deed: str) -> None:
        self.buyer.turn = 0  # through the first door, which is the one that breaks
        act: Callable[[], tuple[str, str]] = getattr(self, deed)
        no, end = act()
        self.ends[no] = end

    def later(self) -> None:
        """A key left by the dead is taken over after half a minute: business time, so it need not be waited for."""
        self.battle.world.skip(seconds=31)

    def place(self) -> tuple[str, str]:
        return self._ordered(), "cancelled"  # by its time

    def prepay(self) -> tuple[str, str]:
        return self._open(), "cancelled"

    def cancel(self) -> tuple[str, str]:
        no = self._open()
        answer = self._asked(f"/api/v1/orders/{no}/cancel", {})
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled"), answer.text
        return no, "cancelled"

    def pay(self) -> tuple[str, str]:
        no = self._open()
        assert self.battle.pay(attempt_of(self.battle, no))
        return no, "paid"

    def refresh(self) -> tuple[str, str]:
        """The news is lost, and the client asks."""
        with NoMail(self.battle):
            no, end = self.pay()
            self._asked(f"/api/v1/orders/{no}/payment/refresh")
        return no, end

    def ask(self) -> tuple[str, str]:
        """The news is lost, and the worker asks."""
        with NoMail(self.battle):
            no, end = self.pay()
        self.later()
        return no, end

    def late(self) -> tuple[str, str]:
        """Confirmed on the phone just before the close, which landed first."""
        no = self._open()
        number = attempt_of(self.battle, no)
        assert self._asked(f"/api/v1/orders/{no}/cancel", {}).status_code == 200
        self.battle.world.pay(number, raced=True)
        return no, "cancelled"

    def time_out(self) -> tuple[str, str]:
        no = self._open()
        self.battle.world.skip(minutes=31)
        return no, "cancelled"

    def refund(self) -> tuple[str, str]:
        operator = self.battle.operator()
        no, _ = self.pay()
        self.later()
        order = self.buyer.becomes(no, "paid", patience_s=60)
        lines = [{"lineId": order["lines"][0]["id"], "quantity": 1}]
        wish = {"reason": "少发", "lines": lines}
        assert operator.until_answered("POST", f"/admin/v1/orders/{no}/refunds", wish).status_code == 201
        self.later()
        return no, "refunded"

    def unhandled(self) -> tuple[str, str]:
        """The notice was stored, and then nobody was there."""
        door = self.battle.serving[0]
        mark = restart(self.battle, door, "payments.inbox:Inbox._store:after")
        self.battle.await_doors()
        no, end = self.pay()
        until("the notice is stored", mark.exists)
        mark.unlink()
        door.kill()
        self.later()
        return no, end

    def _ordered(self) -> str:
        no = str(self.buyer.order(self.sku)["no"])
        self.acknowledged.append(no)
        return no

    def _open(self) -> str:
        no = self._ordered()
        assert self._asked(f"/api/v1/orders/{no}/prepay").status_code == 200
        return no

    def _asked(self, path: str, body: object = None) -> httpx.Response:
        return self.buyer.until_answered("POST", path, body, on_loss=self.later)
