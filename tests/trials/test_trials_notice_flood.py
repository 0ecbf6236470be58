"""WeChat's notifications are answered in time while a stranger sends a hundred forged ones beside each."""

import asyncio
from pathlib import Path

import notice_flood
import pytest
from flooding import Flood
from processes import broken, fetch
from trialing import Rounds

from dev.postgres import Cluster

FORGED_EACH = 100
FORGED_PER_S = 1000
P99_S = 1.0
WECHAT_WAITS_S = 5.0


@pytest.mark.trial("R29", "R32")
@pytest.mark.alone
def test_genuine_notices_are_answered_in_a_flood_of_forged_ones(tmp_path: Path, rounds: Rounds) -> None:
    """Nobody is limited by where notifications come from, so nothing but the work itself holds them up."""
    genuine = rounds(25, 600)
    with Cluster(tmp_path / "pg") as cluster, notice_flood.opened(tmp_path, cluster, workers=1) as (url, world):
        asyncio.run(notice_flood.prepare(url, world, genuine))
        letters = notice_flood.write(notice_flood.WeChat(world), cluster, FORGED_EACH)
        flood = asyncio.run(Flood(url, FORGED_PER_S).run(letters))
        took, forged = sorted(flood.took[True]), len(flood.took[False])
        print(f"{forged / flood.lasted_s:.0f} forged ones a second; {notice_flood.summary('genuine', took)}")
        assert (len(took), forged) == (genuine, (genuine - 10) * FORGED_EACH)
        assert forged / flood.lasted_s >= 0.9 * FORGED_PER_S, "that was no such flood"
        assert took[len(took) * 99 // 100] <= P99_S, took[-5:]
        assert took[-1] < WECHAT_WAITS_S, took[-5:]
        assert fetch(cluster.owner_url(), "SELECT count(*) AS n FROM orders WHERE state = 'paid'")[0]["n"] == genuine
        assert fetch(cluster.owner_url(), "SELECT count(*) AS n FROM notice")[0]["n"] == genuine
        assert broken(cluster.owner_url()) == {}
