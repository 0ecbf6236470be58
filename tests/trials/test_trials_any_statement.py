"""The process dies between any two statements of settling, cancelling and refunding; started again, the books balance.

A door before Postgres counts the round trips. For each deed: it dies before its first statement reaches Postgres, before its
second …, and after each COMMIT that it never heard of, until it gets through alive. After each death whoever would come again does:
WeChat repeats its notification, the client its request under the same key, the worker its sweeps and jobs.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cast import Buyer, Letter, Operator, Shop
from counting import CountingDoor
from processes import ROOT, free_environment
from sqlalchemy.engine import make_url

from dev.postgres import Cluster
from payments import refunds
from payments.settlement import CLOSE_JOB

pytestmark = pytest.mark.usefixtures("quiet")

MOST = 60
"""Round trips of the longest deed, with room to spare: a deed that never gets through is a fault of the trial."""
Deed = dict[str, Any]


class Mortal:
    """A process that does one deed at a time and can be killed while it does."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("dying.py"))],
            cwd=ROOT,
            env=free_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def dies_at(self, door: CountingDoor, deed: Deed, nth: int, when: str) -> bool:
        """Begin `deed`; kill it at the nth round trip. False: it got through alive before that."""
        victim: list[int] = []
        assert self.process.stdin is not None

        def strike() -> None:
            os.kill(victim[0], signal.SIGKILL)

        door.arm(0, when, lambda: None)
        self.process.stdin.write(json.dumps({"environment": self.environment, "deed": deed}) + "\n")
        # The child is stopped by nothing until it speaks to Postgres, which takes it longer than these two lines.
        self.process.stdin.flush()
        victim.append(int(self._line()))
        door.arm(nth, when, strike)
        code = int(self._line())
        assert code == (-signal.SIGKILL if door.struck else 0), (deed, nth, when, code)
        return door.struck

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def door(clean: Cluster) -> Iterator[CountingDoor]:
    url = make_url(clean.app_url())
    made = CountingDoor(str(url.host), int(url.port or 5432))
    yield made
    made.close()


@pytest.fixture
async def mortal(shop: Shop, door: CountingDoor, clean: Cluster) -> AsyncIterator[Mortal]:
    through = make_url(clean.app_url()).set(port=door.port).render_as_string(hide_password=False)
    made = Mortal(
        {
            **shop.world.env,
            "DATABASE_URL": through,
            "SHOP_PUBLIC_URL": shop.mailbox.url,
            "SHOP_DATA_DIR": str(shop.world.folder.parent),
        }
    )
    yield made
    made.stop()


def notice(letter: Letter) -> Deed:
    left_out = {"host", "content-length", "connection", "accept-encoding"}
    headers = {name: value for name, value in letter.headers.items() if name.lower() not in left_out}
    body = b64encode(letter.body).decode()
    return {"path": "/wechat/pay/notify", "headers": headers, "body": body, "fine": [204]}


def request(who: Buyer | Operator, path: str, body: Any = None, fine: tuple[int, ...] = (200,)) -> Deed:
    headers = {**who.headers, "idempotency-key": secrets.token_hex(8)}
    if body is None:
        return {"path": path, "headers": headers, "fine": list(fine)}
    content = b64encode(json.dumps(body).encode()).decode()
    return {
        "path": path,
        "headers": {**headers, "content-type": "application/json"},
        "body": content,
        "fine": list(fine),
    }


async def repeat(shop: Shop, deed: Deed) -> None:
    """Whoever asked comes again, and so does the worker; then nothing is under way any more."""
    shop.world.skip(seconds=31)  # a key left by the dead is free again
    if "path" in deed:
        content = b64decode(deed["body"]) if deed.get("body") else None
        answer = await shop.http.post(deed["path"], headers=deed["headers"], content=content)
        assert answer.status_code in deed["fine"], answer.text
    await rest(shop)


async def rest(shop: Shop) -> None:
    worker = shop.worker
    # Business time runs fast here; nobody's working day shall end by it.
    await shop.sql.execute("UPDATE staff_session SET expires_at = expires_at + interval '1 hour'")
    for _ in range(3):
        for sweep in (worker.close_orders, worker.ask_payments, worker.retry_notices):
            await sweep()
        await shop.run_jobs()
        shop.world.skip(seconds=700)
        await worker.ask_refunds()


async def dies_everywhere(
    shop: Shop,
    mortal: Mortal,
    door: CountingDoor,
    prepare: Callable[[], Awaitable[tuple[str, Deed]]],
    ended: Callable[[str], Awaitable[None]],
) -> int:
    """`prepare` makes a fresh case and says what is to be done to it; `ended` asserts how it must end. The deaths."""
    deaths = 0
    for when in ("before", "after"):
        for nth in range(1, MOST):
            no, deed = await prepare()
            struck = mortal.dies_at(door, deed, nth, when)
            await repeat(shop, deed)
            await ended(no)
            broken = await shop.broken()
            assert not broken, (when, nth, broken)
            await _same_money(shop)
            shop.mailbox.clear()
            if not struck:
                break
            deaths += 1
        else:
            raise AssertionError("it never gets through")
    return deaths


async def _same_money(shop: Shop) -> None:
    """Every order of this test, by WeChat's word and by ours."""
    rows = await shop.sql.fetch("SELECT out_trade_no, state, coalesce(received_fen, 0) AS fen FROM payment")
    theirs = {item["out_trade_no"]: item for item in shop.world.http.get("/_sandbox/payments").json()["items"]}
    for row in rows:
        said = theirs.get(row["out_trade_no"])
        if said is not None:
            paid = said["amount"] if said["paid_at"] else 0
            assert paid == row["fen"], (row["out_trade_no"], paid, row["fen"])
    refunds_there = {item["out_refund_no"] for item in shop.world.http.get("/_sandbox/refunds").json()["items"]}
    ours = {row["out_refund_no"] for row in await shop.sql.fetch("SELECT out_refund_no FROM refund")}
    assert ours <= refunds_there, "a promised refund never reached WeChat"


class Case:
    """Orders of one buyer, each at the point where the deed begins."""

    def __init__(self, shop: Shop, buyer: Buyer, operator: Operator, sku: int) -> None:
        self.shop, self.buyer, self.operator, self.sku = shop, buyer, operator, sku

    async def open(self) -> tuple[str, str]:
        no = await self.buyer.order({self.sku: 2})
        return no, await self.buyer.prepay(no)

    async def paid(self) -> tuple[str, Letter]:
        no, out_trade_no = await self.open()
        self.shop.world.pay(out_trade_no)
        return no, self.shop.mailbox.take()

    async def state(self, no: str) -> str:
        return str(await self.shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no))

    async def refund_state(self, no: str) -> str:
        return str(await self.shop.sql.fetchval("SELECT string_agg(state, ',') FROM refund WHERE payable = $1", no))


@pytest.fixture
async def case(shop: Shop) -> Case:
    (sku,) = await shop.stocked(5000)
    return Case(shop, await shop.buyer("mortal"), await shop.operator(), sku)


async def test_settling_by_a_notification(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, letter = await case.paid()
        return no, notice(letter)

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_settling_by_our_own_question(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _lost = await case.paid()
        shop.world.skip(seconds=10)
        return no, {"sweep": "ask_payments"}

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_cancelling(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _ = await case.open()
        return no, request(case.buyer, f"/api/v1/orders/{no}/cancel", {})

    async def ended(no: str) -> None:
        assert await case.state(no) == "cancelled"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_cancelling_what_was_just_paid(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _letter = await case.paid()
        return no, request(case.buyer, f"/api/v1/orders/{no}/cancel", {}, fine=(409,))

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_closing_when_the_time_is_over(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _ = await case.open()
        shop.world.skip(minutes=31)
        return no, {"sweep": "close_orders"}

    async def ended(no: str) -> None:
        assert await case.state(no) == "cancelled"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_money_that_comes_after_the_close(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_trade_no = await case.open()
        await case.buyer.post(f"/orders/{no}/cancel", {})
        shop.world.pay(out_trade_no, raced=True)
        return no, notice(shop.mailbox.take())

    async def ended(no: str) -> None:
        assert (await case.state(no), await case.refund_state(no)) == ("cancelled", "succeeded")

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_promising_a_refund(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, letter = await case.paid()
        await shop.notify(letter)
        (line,) = (await case.buyer.get(f"/orders/{no}")).json()["lines"]
        wish = {"reason": "少发", "lines": [{"lineId": line["id"], "quantity": 1}]}
        return no, request(case.operator, f"/admin/v1/orders/{no}/refunds", wish, fine=(201,))

    async def ended(no: str) -> None:
        assert await case.refund_state(no) == "succeeded"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 10


async def _promised(case: Case, shop: Shop) -> tuple[str, str]:
    no, letter = await case.paid()
    await shop.notify(letter)
    (line,) = (await case.buyer.get(f"/orders/{no}")).json()["lines"]
    assert (await case.operator.refund(no, {line["id"]: 2})).status_code == 201
    return no, str(await shop.sql.fetchval("SELECT out_refund_no FROM refund WHERE payable = $1", no))


async def test_carrying_out_a_refund(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_refund_no = await _promised(case, shop)
        return no, {"job": refunds.JOB, "reference": out_refund_no}

    async def ended(no: str) -> None:
        assert (await case.refund_state(no), await case.state(no)) == ("succeeded", "refunded")

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 10


async def test_hearing_that_a_refund_ended(shop: Shop, mortal: Mortal, door: CountingDoor, case: Case) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_refund_no = await _promised(case, shop)
        await shop.worker.handlers()[refunds.JOB](out_refund_no)
        shop.world.skip(seconds=5)
        return no, notice(shop.mailbox.take())

    async def ended(no: str) -> None:
        assert (await case.refund_state(no), await case.state(no)) == ("succeeded", "refunded")

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 15


async def test_closing_an_attempt_that_must_not_be_paid(
    shop: Shop, mortal: Mortal, door: CountingDoor, case: Case
) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_trade_no = await case.open()
        return no, {"job": CLOSE_JOB, "reference": out_trade_no}

    async def ended(no: str) -> None:
        shop.world.skip(minutes=31)
        await rest(shop)
        assert await case.state(no) == "cancelled"

    assert await dies_everywhere(shop, mortal, door, prepare, ended) > 3
