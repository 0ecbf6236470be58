"""WeChat's notifications are answered in time while a stranger sends a hundred forged ones beside each."""

import asyncio
import random
from pathlib import Path

import notice_flood
import pytest
from processes import broken, fetch
from trialing import Rounds

from dev.postgres import Cluster

FORGED_EACH = 100
WECHAT_WAITS_S = 5.0


@pytest.mark.trial("R29", "R32")
def test_genuine_notices_are_answered_in_a_flood_of_forged_ones(
    tmp_path: Path, rounds: Rounds, chance: random.Random
) -> None:
    """Also on a busy machine; on one of its own the slowest of a hundred takes a fraction of a second. Nobody is limited by where notifications come from, so nothing but the work itself holds them up."""
    genuine = rounds(25, 600)
    with Cluster(tmp_path / "pg") as cluster, notice_flood.opened(tmp_path, cluster, workers=1) as (url, world):
        asyncio.run(notice_flood.prepare(url, world, genuine))
        letters = notice_flood.write(notice_flood.WeChat(world), cluster, FORGED_EACH)
        chance.shuffle(letters)
        took = asyncio.run(notice_flood.flood(url, letters))
        assert (len(took[True]), len(took[False]) >= (genuine - 10) * FORGED_EACH) == (genuine, True)
        assert max(took[True]) < WECHAT_WAITS_S, notice_flood.summary("genuine", took[True])
        assert fetch(cluster.owner_url(), "SELECT count(*) AS n FROM orders WHERE state = 'paid'")[0]["n"] == genuine
        assert fetch(cluster.owner_url(), "SELECT count(*) AS n FROM notice")[0]["n"] == genuine
        assert broken(cluster.owner_url()) == {}
