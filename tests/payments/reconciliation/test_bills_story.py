"""Days of trade in the simulated world, and the morning after: the bills come, and all agrees with no hand laid on."""

import asyncio
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from cast import ROOT, Shop

from payments.reconciliation import wanting
from payments.reconciliation.beijing import BEIJING, day_of

MORNING = 10 * 60 + 5


def _today(shop: Shop) -> date:
    return day_of(shop.world.clock.now())


def _until(shop: Shop, days: int, minutes: int) -> None:
    """On to so many minutes after the midnight `days` ahead, Beijing time."""
    midnight = datetime.combine(_today(shop) + timedelta(days=days), datetime.min.time(), BEIJING)
    wanted = midnight + timedelta(minutes=minutes) - shop.world.clock.now()
    shop.world.skip(seconds=wanted.total_seconds())


async def _morning_after(shop: Shop) -> date:
    """The next morning, when the bills are there; the day they are of."""
    traded = _today(shop)
    _until(shop, 1, MORNING)
    await shop.worker.reconcile()
    return traded


async def _state(shop: Shop, day: date) -> str:
    return str(await shop.sql.fetchval("SELECT state FROM bill_day WHERE day = $1", day))


async def _bills(shop: Shop, day: date) -> dict[str, str]:
    rows = await shop.sql.fetch("SELECT kind, state FROM bill WHERE day = $1", day)
    return {row["kind"]: row["state"] for row in rows}


async def _figure(shop: Shop, day: date, *path: str) -> Any:
    return await shop.sql.fetchval("SELECT (figures #>> $2)::bigint FROM bill_day WHERE day = $1", day, list(path))


async def _open(shop: Shop) -> list[tuple[str, str]]:
    rows = await shop.sql.fetch(
        "SELECT kind, reference FROM payment_exception WHERE resolved_at IS NULL ORDER BY kind, reference"
    )
    return [(row["kind"], row["reference"]) for row in rows]


async def _balance(shop: Shop, account: str) -> int:
    return int(
        await shop.sql.fetchval(
            "SELECT coalesce(sum(CASE debit WHEN $1 THEN amount_fen ELSE -amount_fen END), 0)::bigint FROM posting"
            " WHERE $1 IN (debit, credit)",
            account,
        )
    )


def _account(shop: Shop) -> int:
    """What WeChat says the account has moved since the world began."""
    items = shop.world.http.get("/_sandbox/movements").json()["items"]
    return sum(item["amount"] for item in items)


async def _refunded(shop: Shop, no: str) -> None:
    """One piece of the order is refunded; the news of it is not delivered."""
    operator = await shop.operator()
    line = await shop.sql.fetchval(
        "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id WHERE o.no = $1", no
    )
    answer = await operator.refund(no, {str(line): 1})
    assert answer.is_success, answer.text
    await shop.run_jobs()
    shop.world.skip(minutes=2)  # it takes WeChat a moment


@pytest.mark.parametrize(("rows", "decimals"), [("netted", "fen"), ("separate", "exact")])
async def test_a_day_of_trade_agrees_by_itself(shop_of_its_own: Shop, rows: str, decimals: str) -> None:
    """Payments and a refund; fees and the net settlement are booked, and our account is WeChat's to the fen.

    Whether fees are taken off at once or stand in rows of their own, billed in whole fen or with all their digits.
    """
    shop = shop_of_its_own
    shop.world.tell("settings", fee_rows=rows, fee_decimals=decimals, fee_rate=38)
    (sku,) = await shop.stocked(50, price_fen=4200)
    buyer = await shop.buyer("茶客")
    numbers = [await shop.paid_order(buyer, {sku: n}) for n in (1, 2, 3)]
    await _refunded(shop, numbers[1])
    day = await _morning_after(shop)
    assert await _bills(shop, day) == {"trade": "verified", "fund_flow": "verified"}
    assert await _state(shop, day) == "agreed"
    received = await shop.sql.fetchval("SELECT sum(received_fen)::bigint FROM payment")
    assert await _figure(shop, day, "bill", "paymentsFen") == received
    assert await _figure(shop, day, "bill", "refundsFen") == 4200
    assert await _figure(shop, day, "repaired") == 1  # nobody told us that the refund was done
    assert await _balance(shop, "wechat") == _account(shop) == await _figure(shop, day, "flow", "netFen")
    assert await _balance(shop, "fees") == await _figure(shop, day, "booked", "feesFen") > 0
    assert await _open(shop) == []


async def test_payments_that_we_never_heard_of_are_found_in_the_bill(shop_of_its_own: Shop) -> None:
    """Every notification was lost, and nobody asked: the bill knows, WeChat confirms, and the order is paid."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    numbers = [await buyer.order({sku: 1}) for _ in range(5)]
    for no in numbers:
        shop.world.pay(await buyer.prepay(no))
    day = await _morning_after(shop)
    assert await _state(shop, day) == "agreed"
    assert await _figure(shop, day, "repaired") == 5
    assert [await buyer.state(no) for no in numbers] == ["paid"] * 5
    assert await _balance(shop, "wechat") == _account(shop)
    assert await _open(shop) == []


async def test_what_the_bill_lacks_waits_a_day_and_then_needs_a_person(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    lacking = await shop.sql.fetchval("SELECT transaction_id FROM payment")
    await shop.paid_order(buyer, {sku: 2})
    shop.world.tell(f"bills/{_today(shop)}/spoil", kind="trade", how="missing_row")
    day = await _morning_after(shop)
    assert await _state(shop, day) == "differs"
    assert await _figure(shop, day, "waiting") == 1
    assert await _open(shop) == []
    await shop.paid_order(buyer, {sku: 1})
    await _morning_after(shop)
    assert await _open(shop) == [("bill_missing_payment", lacking)]
    facts = await shop.sql.fetchval("SELECT facts::text FROM payment_exception")
    assert '"answer": "known"' in facts  # WeChat itself says that it was paid
    assert '"state": "paid"' in facts  # and so does the order


@pytest.mark.parametrize(
    ("kind", "how", "expected"),
    [
        ("trade", "extra_row", [("bill_unknown_payment", "4200000000" + "9" * 18)]),
        ("trade", "other_amount", [("bill_amount_mismatch", "")]),
        ("fund_flow", "extra_row", [("fund_flow_gap", ""), ("fund_flow_unknown", "4200000000" + "9" * 18)]),
        ("fund_flow", "other_amount", [("fund_flow_mismatch", "")]),
    ],
)
async def test_a_bill_that_lies_is_found_out_and_stays_a_case_until_a_person_decides(
    shop_of_its_own: Shop, kind: str, how: str, expected: list[tuple[str, str]]
) -> None:
    """Hash and totals fit the lie; only our own books tell."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    await shop.paid_order(buyer, {sku: 1})
    shop.world.tell(f"bills/{_today(shop)}/spoil", kind=kind, how=how)
    day = await _morning_after(shop)
    assert await _state(shop, day) == "differs"
    found = await _open(shop)
    known = {reference for _, reference in expected}
    assert [(name, reference if reference in known else "") for name, reference in found] == expected
    await shop.sql.execute(
        "UPDATE payment_exception SET resolved_at = now(), resolved_by = 'staff:1', resolution = 'x'"
    )
    shop.world.skip(days=1, hours=1)
    await shop.worker.reconcile()
    assert await _state(shop, day) == "agreed"


@pytest.mark.parametrize("how", ["hash", "totals", "cut_short"])
async def test_a_bill_that_cannot_be_believed_is_asked_for_again(shop_of_its_own: Shop, how: str) -> None:
    """Kept aside once, tried three times, then a case; mended and run again, the case is resolved by itself."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    shop.world.tell(f"bills/{_today(shop)}/spoil", kind="trade", how=how)
    day = await _morning_after(shop)
    for _ in range(2):
        assert (await _bills(shop, day))["trade"] == "wanted"
        shop.world.skip(minutes=31)
        await shop.worker.reconcile()
    assert await _bills(shop, day) == {"trade": "failed", "fund_flow": "verified"}
    assert await _open(shop) == [("bill_broken", f"{day}:trade")]
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_file WHERE broken IS NOT NULL") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_trade") == 0
    shop.world.tell(f"bills/{day}/spoil", kind="trade", how=None)
    operator = await shop.operator()
    assert (await operator.post(f"/reconciliation/days/{day}/run")).status_code == 202
    await shop.worker.reconcile()
    assert await _state(shop, day) == "agreed"
    assert await _open(shop) == []


async def test_before_ten_nothing_is_asked_and_before_noon_nothing_is_no_answer(shop_of_its_own: Shop) -> None:
    """An empty day is believed late, and only while we know of no money of it."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    _until(shop, 1, 9 * 60 + 59)
    await shop.worker.reconcile()
    assert await shop.sql.fetchval("SELECT count(*) FROM bill") == 0
    empty = _today(shop)
    _until(shop, 1, MORNING)
    await shop.worker.reconcile()
    assert await _bills(shop, empty) == {"trade": "wanted", "fund_flow": "wanted"}
    assert await _bills(shop, empty - timedelta(days=1)) == {"trade": "verified", "fund_flow": "verified"}
    _until(shop, 0, 12 * 60 + 10)
    await shop.worker.reconcile()
    assert await _bills(shop, empty) == {"trade": "empty", "fund_flow": "empty"}
    assert await _state(shop, empty) == "agreed"


async def test_days_without_a_worker_are_caught_up(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    first = _today(shop)
    for _ in range(3):
        await shop.paid_order(buyer, {sku: 1})
        _until(shop, 1, MORNING)
    await shop.worker.reconcile()
    rows = await shop.sql.fetch("SELECT day, state FROM bill_day ORDER BY day")
    assert [(row["day"], row["state"]) for row in rows] == [(first + timedelta(days=n), "agreed") for n in range(3)]
    assert await _balance(shop, "wechat") == _account(shop)


async def test_two_workers_at_once_do_everything_once(shop_of_its_own: Shop) -> None:
    """And one that died holding a bill is followed by another when its lease is over."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    day = _today(shop)
    _until(shop, 1, MORNING)
    async with shop.db.begin() as session:
        await wanting.want(session, shop.world.clock.now())
        assert await wanting.claim_bill(session, shop.world.clock.now()) == (day, "fund_flow")  # and dies
    await asyncio.gather(shop.worker.reconcile(), shop.worker.reconcile())
    assert await _bills(shop, day) == {"trade": "verified", "fund_flow": "wanted"}
    shop.world.skip(minutes=16)
    await asyncio.gather(shop.worker.reconcile(), shop.worker.reconcile())
    assert await _state(shop, day) == "agreed"
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_file") == 2
    assert await _balance(shop, "wechat") == _account(shop)


async def test_money_to_the_bank_and_back_is_booked(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50, price_fen=50_000)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 2})
    shop.world.tell("merchant/withdraw", fen=30_000)
    shop.world.tell("merchant/top-up", fen=1_000)
    day = await _morning_after(shop)
    assert await _state(shop, day) == "agreed"
    assert await _balance(shop, "bank") == 29_000
    assert await _balance(shop, "wechat") == _account(shop)


async def test_a_payment_by_code_that_was_reversed_came_and_went(shop_of_its_own: Shop) -> None:
    """It stands in the bill twice, paid and revoked; here it never counted, and that is no difference."""
    shop = shop_of_its_own
    shop.world.tell("settings", code_payment="password")
    (sku,) = await shop.stocked(50)
    no = await (await shop.buyer("茶客")).order({sku: 1})
    operator = await shop.operator()
    code = shop.world.code("bob", "payment")
    assert (await operator.post(f"/orders/{no}/charge-code", {"authCode": code})).json()["state"] == "userpaying"
    number = await shop.sql.fetchval("SELECT out_trade_no FROM payment")
    shop.world.skip(seconds=46)
    shop.world.faults(path=f"/v3/pay/transactions/out-trade-no/{number}/reverse", effect="500", method="POST")
    await shop.worker.ask_payments()
    shop.world.pay(number)
    for _ in range(8):
        shop.world.skip(seconds=35)
        await shop.worker.ask_payments()
    day = await _morning_after(shop)
    assert await _figure(shop, day, "bill", "refunds") == 1
    assert await _state(shop, day) == "agreed"
    assert await _balance(shop, "wechat") == _account(shop) == 0


async def test_a_transfer_to_a_user_is_in_the_fund_flow(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    buyer = await shop.buyer("茶客")
    (sku,) = await shop.stocked(50)
    await shop.paid_order(buyer, {sku: 1})
    operator = await shop.operator()
    member = (await buyer.get("/me")).json()["id"]
    report = {"活动名称": "新会员有礼", "奖励说明": "注册奖励"}
    wish = {"cause": "welcome:1", "amountFen": 500, "remark": "注册奖励", "sceneId": "1000", "report": report}
    answer = await operator.post(f"/members/{member}/transfers", wish)
    assert answer.status_code == 201, answer.text
    await shop.run_jobs()
    shop.world.tell(f"transfers/{answer.json()['outBillNo']}/confirm")
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    day = await _morning_after(shop)
    assert await _state(shop, day) == "agreed"
    assert await _balance(shop, "payouts") == 500
    assert await _balance(shop, "wechat") == _account(shop)


async def test_coupons_of_the_shops_own_are_an_expense(shop_of_its_own: Shop) -> None:
    """A coupon that was not prefunded (免充值) takes off the settlement; one that was, does not."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    for kind in ("NOCASH", "CASH"):
        no = await buyer.order({sku: 2})
        shop.world.pay(await buyer.prepay(no), coupon_fen=300, coupon_kind=kind)
        assert (await shop.notify()).status_code == 204
    day = await _morning_after(shop)
    assert await _state(shop, day) == "agreed"
    assert await _balance(shop, "wechat_coupons") == 300
    assert await _balance(shop, "wechat") == _account(shop)


async def test_whatever_wechat_does_to_the_download_the_bill_comes_in_the_end(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = _today(shop)
    _until(shop, 1, MORNING)
    for path, effect in (
        ("/v3/bill/tradebill", "500"),
        ("/v3/bill/tradebill", "429"),
        ("/v3/billdownload/file", "502_html"),
    ):
        shop.world.faults(path=path, effect=effect)
        await shop.worker.reconcile()
        shop.world.heal()
        assert (await _bills(shop, day))["trade"] == "wanted"
        shop.world.skip(minutes=6)
    await shop.worker.reconcile()
    assert await _state(shop, day) == "agreed"


async def test_the_command_line_reconciles_and_says_by_its_exit_code_whether_all_agrees(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50, price_fen=4200)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    day = _today(shop)
    _until(shop, 1, MORNING)
    done = await _run(shop)
    assert done.returncode == 0, done.stderr
    assert "agreed" in done.stdout
    received = await shop.sql.fetchval("SELECT received_fen FROM payment")
    assert f"{received // 100}.{received % 100:02d}" in done.stdout
    assert (await _run(shop, "--date", str(day + timedelta(days=1)))).returncode == 2
    as_json = await _run(shop, "--from", str(day), "--json")
    assert f'"paymentsFen": {received}' in as_json.stdout
    await shop.paid_order(buyer, {sku: 1})
    shop.world.tell(f"bills/{_today(shop)}/spoil", kind="trade", how="extra_row")
    _until(shop, 1, MORNING)
    done = await _run(shop)
    assert done.returncode == 1
    assert "bill_unknown_payment: 1 open" in done.stdout


async def _run(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **shop.world.env,
        "DATABASE_URL": shop.db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "SHOP_DATA_DIR": str(shop.world.folder.parent),
        "SHOP_PUBLIC_URL": shop.mailbox.url,
    }
    command = [sys.executable, "-m", "shop", "reconcile", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
