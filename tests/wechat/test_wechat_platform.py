"""The client's own table of answers, with payloads as WeChat sends them; the simulated WeChat is met in the stories."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from kit.clock import ManualClock
from kit.database import Database, InsideTransaction
from kit.http import _check
from wechat.answers import (
    AccountBlocked,
    CodeInvalid,
    CodeUsed,
    PhoneCodeInvalid,
    WeChatBusy,
    WeChatUnavailable,
)
from wechat.platform import Platform

pytestmark = pytest.mark.anyio
APP_ID = "wx0000000000000001"
SECRET = "0123456789abcdef0123456789abcdef"
SESSION = {"openid": "oSandboxUser01", "session_key": "MDEyMzQ1Njc4OWFiY2RlZg==", "unionid": "uSandbox01"}


class World:
    """Answers from a script; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answers: dict[str, list[Any]] = {}
        self.tokens = 0
        self.delay_s = 0.0

    def will(self, path: str, *answers: Any) -> None:
        self.answers.setdefault(path, []).extend(answers)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.asked]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        waiting = self.answers.get(request.url.path)
        answer: Any = None
        if waiting:
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        elif request.url.path == "/cgi-bin/stable_token":
            await asyncio.sleep(self.delay_s)
            self.tokens += 1
            answer = {"access_token": f"88_token-{self.tokens}", "expires_in": 7200}
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer, content=b"<html>")
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx.Response(200, content=content, headers={"content-type": "text/plain"})


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def platform_at(db: Database, clock: ManualClock, world: World) -> Callable[[], Platform]:
    def make() -> Platform:
        client = httpx.AsyncClient(
            base_url="https://api.weixin.qq.com",
            transport=httpx.MockTransport(world),
            event_hooks={"request": [_check]},
        )
        return Platform(client, db, clock, app_id=APP_ID, app_secret=SECRET, pause_s=0.001)

    return make


@pytest.fixture
def platform(platform_at: Callable[[], Platform]) -> Platform:
    return platform_at()


def phone_info(appid: str = APP_ID, country: Any = "86") -> dict[str, Any]:
    return {
        "errcode": "0",
        "errmsg": "ok",
        "phone_info": {
            "phoneNumber": "13800000000",
            "purePhoneNumber": "13800000000",
            "countryCode": country,
            "watermark": {"timestamp": 1767225600, "appid": appid},
        },
    }


PHONE = "/wxa/business/getuserphonenumber"
LOGIN = "/sns/jscode2session"


async def test_a_code_becomes_a_session_without_its_key(platform: Platform, world: World) -> None:
    world.will(LOGIN, SESSION)
    session = await platform.code_to_session("0a1' OR 1=1 &appid=evil")
    assert (session.openid, session.unionid) == ("oSandboxUser01", "uSandbox01")
    assert "MDEy" not in repr(session)
    query = world.asked[0].url.params
    assert query["js_code"] == "0a1' OR 1=1 &appid=evil"
    assert query.get_list("appid") == [APP_ID]


async def test_without_an_open_platform_there_is_no_unionid(platform: Platform, world: World) -> None:
    world.will(LOGIN, {"openid": "oSandboxUser01", "session_key": "k"})
    assert (await platform.code_to_session("c")).unionid is None


@pytest.mark.parametrize(
    ("errcode", "problem", "asked"),
    [
        (40029, CodeInvalid, 1),
        ("40029", CodeInvalid, 1),
        (40163, CodeUsed, 1),
        (40226, AccountBlocked, 1),
        (45011, WeChatBusy, 1),
        (40013, WeChatUnavailable, 1),
        (40125, WeChatUnavailable, 1),
        (41002, WeChatUnavailable, 1),
        (-1, WeChatUnavailable, 3),
    ],
)
async def test_each_errcode_has_its_answer(
    platform: Platform, world: World, errcode: Any, problem: type[Exception], asked: int
) -> None:
    world.will(LOGIN, {"errcode": errcode, "errmsg": "no rid: 6f1c2a9b-1d2e3f40-5a6b7c8d"})
    with pytest.raises(problem) as refused:
        await platform.code_to_session("c")
    assert type(refused.value) is problem
    assert len(world.asked) == asked


@pytest.mark.parametrize(
    "answer",
    [b"", b"not json", b"[]", b"\xff", b'{"openid": 5}', b'{"openid": ""}', b"[" * 100_000, b'{"errcode": "x"}', 502],
)
async def test_what_cannot_be_read_is_a_503(platform: Platform, world: World, answer: Any) -> None:
    world.will(LOGIN, answer)
    with pytest.raises(WeChatUnavailable):
        await platform.code_to_session("c")


async def test_a_busy_moment_passes_unseen(platform: Platform, world: World) -> None:
    world.will(LOGIN, {"errcode": -1, "errmsg": "system error"}, httpx.ConnectError("refused"), SESSION)
    assert (await platform.code_to_session("c")).openid == "oSandboxUser01"


async def test_a_code_that_may_have_been_spent_is_not_sent_again(platform: Platform, world: World) -> None:
    world.will(LOGIN, httpx.ReadTimeout("slow"))
    with pytest.raises(WeChatUnavailable) as error:
        await platform.code_to_session("c")
    assert len(world.asked) == 1
    assert error.value.__cause__ is None


async def test_nothing_is_asked_inside_a_transaction(platform: Platform, db: Database) -> None:
    async with db.begin():
        with pytest.raises(InsideTransaction):
            await platform.code_to_session("c")


async def test_the_phone_comes_with_a_token_and_the_users_openid(platform: Platform, world: World) -> None:
    world.will(PHONE, phone_info())
    assert await platform.phone_number("ph1", openid="o1") == "13800000000"
    assert await platform.phone_number("ph2", openid="o1") == "13800000000"
    assert world.tokens == 1
    assert world.asked[-1].url.params["access_token"] == "88_token-1"
    assert json.loads(world.asked[-1].content) == {"code": "ph2", "openid": "o1"}


async def test_a_foreign_number_keeps_its_country(platform: Platform, world: World) -> None:
    world.will(PHONE, phone_info(country=852))
    assert await platform.phone_number("ph1", openid="o1") == "+85213800000000"


@pytest.mark.parametrize("errcode", [40029, 40163, 40013, 40003])
async def test_a_phone_code_that_is_not_the_members_is_refused(platform: Platform, world: World, errcode: int) -> None:
    world.will(PHONE, {"errcode": errcode, "errmsg": "no"})
    with pytest.raises(PhoneCodeInvalid):
        await platform.phone_number("ph1", openid="o1")


async def test_another_mini_programs_watermark_is_refused(platform: Platform, world: World) -> None:
    world.will(PHONE, phone_info("wxother"))
    with pytest.raises(PhoneCodeInvalid):
        await platform.phone_number("ph1", openid="o1")


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
async def test_a_refused_token_is_fetched_once_and_the_call_repeated_once(
    platform: Platform, world: World, errcode: int
) -> None:
    world.will(PHONE, {"errcode": errcode, "errmsg": "token"}, phone_info())
    assert await platform.phone_number("ph1", openid="o1") == "13800000000"
    assert world.tokens == 2
    assert world.paths() == ["/cgi-bin/stable_token", PHONE, "/cgi-bin/stable_token", PHONE]


async def test_a_token_that_stays_refused_ends_in_a_503(platform: Platform, world: World) -> None:
    world.will(PHONE, {"errcode": 40001, "errmsg": "token"})
    with pytest.raises(WeChatUnavailable):
        await platform.phone_number("ph1", openid="o1")
    assert world.paths().count(PHONE) == 2


async def test_force_is_used_only_when_wechat_gives_the_refused_token_again(platform: Platform, world: World) -> None:
    same = {"access_token": "88_same", "expires_in": 7200}
    world.will("/cgi-bin/stable_token", same, same, {"access_token": "88_next", "expires_in": 7200})
    world.will(PHONE, {"errcode": 42001, "errmsg": "token"}, phone_info())
    await platform.phone_number("ph1", openid="o1")
    forced = [json.loads(r.content)["force_refresh"] for r in world.asked if r.url.path == "/cgi-bin/stable_token"]
    assert forced == [False, False, True]


async def test_many_processes_fetch_one_token(platform_at: Callable[[], Platform], world: World) -> None:
    world.delay_s = 0.1
    world.will(PHONE, phone_info())
    await asyncio.gather(*(platform_at().phone_number(f"ph{n}", openid="o1") for n in range(6)))
    assert world.tokens == 1


async def test_the_token_is_renewed_five_minutes_before_its_end(
    platform: Platform, world: World, clock: ManualClock, sql: Any
) -> None:
    world.will(PHONE, phone_info())
    await platform.phone_number("ph1", openid="o1")
    clock.advance(timedelta(seconds=7200 - 301))
    await platform.phone_number("ph2", openid="o1")
    assert world.tokens == 1
    clock.advance(timedelta(seconds=2))
    await platform.phone_number("ph3", openid="o1")
    assert world.tokens == 2
    row = await sql.fetchrow("SELECT token, generation, claimed_until FROM access_token WHERE appid = $1", APP_ID)
    assert tuple(row) == ("88_token-2", 2, None)


async def test_a_failed_fetch_gives_its_claim_back(platform: Platform, world: World) -> None:
    world.will("/cgi-bin/stable_token", {"errcode": 40125, "errmsg": "invalid appsecret"})
    with pytest.raises(WeChatUnavailable):
        await platform.phone_number("ph1", openid="o1")
    world.answers.clear()
    world.will(PHONE, phone_info())
    assert await platform.phone_number("ph1", openid="o1") == "13800000000"


async def test_an_abandoned_claim_is_taken_over(platform: Platform, world: World, clock: ManualClock, sql: Any) -> None:
    lease_ended = clock.now() - timedelta(seconds=1)
    await sql.execute("INSERT INTO access_token (appid, claimed_until) VALUES ($1, $2)", APP_ID, lease_ended)
    world.will(PHONE, phone_info())
    assert await platform.phone_number("ph1", openid="o1") == "13800000000"


async def test_neither_secret_nor_code_nor_token_is_logged(platform: Platform, world: World) -> None:
    world.will(LOGIN, SESSION)
    world.will(PHONE, {"errcode": 48001, "errmsg": "api unauthorized"})
    with structlog.testing.capture_logs() as lines:
        await platform.code_to_session("code-in-clear")
        with pytest.raises(WeChatUnavailable):
            await platform.phone_number("phone-code-in-clear", openid="o1")
    text = json.dumps(lines)
    assert all(word not in text for word in (SECRET, "in-clear", "88_token", "oSandbox", "MDEy"))
    assert any(line["log_level"] == "error" and line["errcode"] == 48001 for line in lines)
