"""What buyers look at: list pages, product pages, searches. Public, and most of the day."""

from typing import Any

from bench.ground import Ground
from bench.measuring import Row, by_turns

CONNECTIONS = 64
SEARCH_CONNECTIONS = 16
SEARCH_P99_MS = 30.0
ZIPF = "1"
"""BENCH_SKEW of `get.lua`: asked for as buyers do."""


def lists(ground: Ground) -> list[Row]:
    """W1: list pages of 20 by category, all categories that fill a page; then such that no process has in its memory."""
    row = Row(
        key="W1",
        what="product list by category",
        target="≥ 60 % of bare",
        limit="bare endpoint",
        wanted=0.6,
    )
    new = Row(key="W1/new", what="the same, lists that nobody remembers", target="report", limit="bare endpoint")
    paths = ground.feed.lists(ground.stage, ground.database)
    return _against_bare(ground, row, paths) + _against_bare(ground, new, paths, new="1")


def details(ground: Ground) -> list[Row]:
    """W2: product pages with all SKUs and their stock, asked for as buyers do (by a Zipf law); then every product alike."""
    row = Row(
        key="W2",
        what="product detail, SKUs, stock",
        target="≥ 50 % of bare",
        limit="bare endpoint",
        wanted=0.5,
    )
    alike = Row(key="W2/alike", what="the same, every product alike", target="report", limit="bare endpoint")
    paths = ground.feed.details(ground.size.products)
    return _against_bare(ground, row, paths, skew=ZIPF) + _against_bare(ground, alike, paths)


def _against_bare(ground: Ground, row: Row, paths: str, skew: str = "", new: str = "") -> list[Row]:
    one = (ground.feed.folder / paths).read_text(encoding="utf-8").splitlines()[0]
    asked: Any = {"connections": CONNECTIONS, "BENCH_PATHS": paths, "BENCH_SKEW": skew, "BENCH_NEW": new}
    with ground.bare(one) as bare:
        ground.load("get.lua", seconds=1, **asked)
        by_turns([(row, lambda: ground.load("get.lua", **asked))], lambda: ground.bare_rate(bare), ground.runs)
    row.facts["answer_bytes"] = len(ground.fetch(one))
    return [row]


def searches(ground: Ground) -> list[Row]:
    """W3: two-character Chinese and English words, each found in a few to a few hundred titles; then searches that no
    process has in its memory."""
    wanted = f"p99 ≤ {SEARCH_P99_MS:.0f} ms"
    row = Row(key="W3", what="search, 16 connections", target=wanted)
    new = Row(key="W3/new", what="the same, that nobody remembers", target="report")
    for one, unknown in ((row, ""), (new, "1")):
        asked: Any = {"connections": SEARCH_CONNECTIONS, "BENCH_PATHS": ground.feed.searches(), "BENCH_NEW": unknown}
        ground.load("get.lua", seconds=1, **asked)
        by_turns([(one, lambda asked=asked: ground.load("get.lua", **asked))], None, ground.runs)  # type: ignore[misc]
    row.passed = row.passed is not False and row.median("p99_ms") <= SEARCH_P99_MS
    return [row, new]
