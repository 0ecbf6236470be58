"""Nothing secret or personal in a log line."""

import asyncio
from typing import Any

import pytest
import structlog
from cast import Shop
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kit import log
from kit.log import redact
from kit.web import traffic

CANARIES = {
    "event": "sent to 13812345678",
    "phone": "13812345678",
    "access_token": "88_abc",
    "nested": {"session_key": "abc", "deep": ["openid oAbcdefghijklmnopqrstuvwxyz0"]},
    "url": "https://api.weixin.qq.com/sns/jscode2session?appid=wx1&secret=5ecre7&js_code=c0de",
    "header": "Bearer abcdef",
    "exception": "IntegrityError: duplicate key\nDETAIL:  Key (phone, name)=(13812345678, Wang Xiaoming) already exists.",
    "key": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
}
SECRETS = ("13812345678", "88_abc", "5ecre7", "c0de", "abcdef", "MIIE", "Xiaoming", "oAbcdefghijklmnopqrstuvwxyz0")


def test_canaries_do_not_come_out() -> None:
    line = str(redact(None, "info", dict(CANARIES)))
    assert [secret for secret in SECRETS if secret in line] == []


PIECES = ["1", "13812345678", "3812345678", "o", "oAbcdefghijklmnopqrstuvwxyz0", "abcdefghijklmnopqrstuvwxyz0", "Ab_-9"]
PIECES += [
    "DETAIL",
    ":",
    "DETAIL:",
    "=",
    "code=",
    "ToKen=abc",
    "beARer",
    "BEARER",
    "bearer abc",
    " ",
    "\t",
    "中",
    "\n",
    "/",
    "&",
]
PIECES += ["-----", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "RSA ", "PRIVATE KEY-----", "END "]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=4).map("".join))
def test_what_is_passed_over_has_nothing_to_hide(said: str) -> None:
    """The one look by which most values are seen to be harmless finds whatever any of the patterns finds."""
    cut = said
    for pattern, replacement in log._PATTERNS:
        cut = pattern.sub(replacement, cut)
    assert redact(None, "info", {"said": said}) == {"said": cut}


def test_numbers_of_orders_stay_readable() -> None:
    assert redact(None, "info", {"order": "D0UGs4kNq1234567890", "ms": 1.5}) == {
        "order": "D0UGs4kNq1234567890",
        "ms": 1.5,
    }


async def test_one_canonical_line_says_who_and_which_order(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    await asyncio.sleep(0)  # lines are written at the end of a turn
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await buyer.get(f"/orders/{no}")
        await asyncio.sleep(0)
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["operation"], line["order"], line["status"]) == ("getOrder", no, 200)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert isinstance(line["member"], int)
    assert line["ms"] > 0


async def test_a_request_that_cannot_be_written_down_takes_no_other_with_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one turn are written together."""
    observe = traffic._observe

    def stumble(scope: Any, status: int, seconds: float) -> None:
        if scope["path"] == "/api/v1/categories":
            raise ValueError("too long")
        observe(scope, status, seconds)

    monkeypatch.setattr(traffic, "_observe", stumble)
    buyer = await shop.buyer("alice")
    await asyncio.sleep(0)
    with capture_logs() as lines:
        for _ in range(2):
            await buyer.get("/categories")
            await buyer.get("/orders")
        await asyncio.sleep(0)
    assert [line.get("operation", line["event"]) for line in lines] == [
        "a request was not written down",
        "listOrders",
    ] * 2
