"""The command line reconciles what is there, and says how it went."""

import os
import subprocess
import sys
from datetime import timedelta

from cast import Shop
from mornings import MORNING, go_on, today
from world import ROOT


async def test_the_command_line_reconciles_and_says_by_its_exit_code_whether_all_agrees(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50, price_fen=4200)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    day = today(shop)
    go_on(shop, 1, MORNING)
    done = await _run(shop)
    assert done.returncode == 0, done.stderr
    assert "agreed" in done.stdout
    received = await shop.sql.fetchval("SELECT received_fen FROM payment")
    assert f"{received // 100}.{received % 100:02d}" in done.stdout
    assert (await _run(shop, "--date", str(day + timedelta(days=1)))).returncode == 2
    as_json = await _run(shop, "--from", str(day), "--json")
    assert f'"paymentsFen": {received}' in as_json.stdout
    await shop.paid_order(buyer, {sku: 1})
    shop.world.tell(f"bills/{today(shop)}/spoil", kind="trade", how="extra_row")
    go_on(shop, 1, MORNING)
    done = await _run(shop)
    assert done.returncode == 1
    assert "bill_unknown_payment: 1 open" in done.stdout


async def test_days_that_nobody_can_mean_are_refused(shop_of_its_own: Shop) -> None:
    """None of them is reconciled, which is no agreement."""
    for wish in (
        ("--to", "2026-01-02"),
        ("--from", "2026-01-03", "--to", "2026-01-02"),
        ("--date", "2026-01-02", "--from", "2026-01-02"),
        ("--date", "2026-01-02", "--to", "2026-01-02"),
        ("--from", str(today(shop_of_its_own) + timedelta(days=3))),
    ):
        done = await _run(shop_of_its_own, *wish)
        assert (done.returncode, done.stdout) == (2, ""), wish
        assert wish[0] in done.stderr


async def test_a_day_whose_bills_are_not_there_is_no_agreement(shop_of_its_own: Shop) -> None:
    """Nothing was paid, and before noon WeChat's silence is no answer."""
    go_on(shop_of_its_own, 1, MORNING)
    done = await _run(shop_of_its_own)
    assert done.returncode == 1, done.stderr
    assert "open" in done.stdout


async def _run(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **shop.world.env,
        "DATABASE_URL": shop.database_url,
        "SHOP_DATA_DIR": str(shop.world.folder.parent),
        "SHOP_PUBLIC_URL": shop.mailbox.url,
    }
    command = [sys.executable, "-m", "shop", "reconcile", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
