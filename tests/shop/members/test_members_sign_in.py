import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from kit.database import Database
from kit.errors import SignInNeeded
from kit.news import TRUST_S, News
from shop.members import people, sessions
from shop.members.sessions import MAX_PER_MEMBER, Sessions
from shop.settings import Settings

pytestmark = pytest.mark.anyio


async def _who(shop: httpx.AsyncClient, token: str) -> int:
    return (await shop.get("/me", headers={"authorization": f"Bearer {token}"})).status_code


async def test_a_code_becomes_a_token_and_a_member(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/sign-in", json={"code": "login-alice"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["expiresIn"] == 30 * 24 * 3600
    assert body["member"] == {"id": "1", "nickname": "", "avatarUrl": "", "phone": None, "isNew": True}
    assert "MDEy" not in answer.text
    assert "o-alice" not in answer.text
    again = (await shop.post("/sign-in", json={"code": "login-alice.2"})).json()
    assert again["member"]["id"] == "1"
    assert again["member"]["isNew"] is False
    assert again["accessToken"] != body["accessToken"]


async def test_the_token_itself_is_kept_nowhere(alice: Any, sql: Any) -> None:
    row = await sql.fetchrow("SELECT member_session::text AS row, length(token_hash) AS length FROM member_session")
    assert row["length"] == 32
    assert alice.token not in row["row"]


async def test_a_code_serves_once_also_at_once(shop: httpx.AsyncClient, sql: Any) -> None:
    answers = await asyncio.gather(*(shop.post("/sign-in", json={"code": "login-alice"}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert {a.json()["code"] for a in answers if a.status_code == 401} == {"code_used"}
    assert await sql.fetchval("SELECT count(*) FROM member_session") == 1


async def test_many_first_sign_ins_at_once_find_one_member(shop: httpx.AsyncClient, sql: Any) -> None:
    answers = await asyncio.gather(*(shop.post("/sign-in", json={"code": f"login-alice.{n}"}) for n in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["member"]["id"] for answer in answers}) == 1
    assert [answer.json()["member"]["isNew"] for answer in answers].count(True) == 1
    assert await sql.fetchval("SELECT count(*) FROM member") == 1


async def test_a_unionid_joins_two_mini_programs_even_at_once(db: Database, clock: ManualClock, sql: Any) -> None:
    async def come(appid: str) -> int:
        async with db.begin() as session:
            _, member, _ = await people.sign_in(
                session, appid=appid, openid=f"o-{appid}", unionid="u-alice", now=clock.now()
            )
            return member.id

    found = await asyncio.gather(*(come(f"wx{n}") for n in range(6)))
    assert len(set(found)) == 1
    joined = await sql.fetch("SELECT joined_by FROM identity ORDER BY id")
    assert [row["joined_by"] for row in joined] == [None] + ["u-alice"] * 5


async def test_a_unionid_learnt_later_moves_nobody(db: Database, clock: ManualClock, sql: Any) -> None:
    async def come(appid: str, unionid: str | None) -> int:
        async with db.begin() as session:
            _, member, _ = await people.sign_in(session, appid=appid, openid="o", unionid=unionid, now=clock.now())
            return member.id

    first, second = await come("wx1", None), await come("wx2", "u")
    assert await come("wx1", "u") == first != second
    assert await sql.fetchval("SELECT count(*) FROM identity WHERE unionid = 'u'") == 2


async def test_only_a_plain_code_is_taken(shop: httpx.AsyncClient) -> None:
    for body, field in [
        ({"openid": "oVictim"}, "openid"),
        ({"code": "login-alice", "openid": "oVictim"}, "openid"),
        ({"code": "login-alice", "unionid": "u"}, "unionid"),
        ({}, "code"),
        ({"code": ""}, "code"),
        ({"code": "x" * 10_000}, "code"),
        ({"code": "a\u0000b"}, "code"),
        ({"code": 5}, "code"),
        ({"code": None}, "code"),
    ]:
        answer = await shop.post("/sign-in", json=body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_input"
        assert answer.json()["errors"][0]["field"] == field


async def test_another_codes_and_sql_are_just_invalid_codes(shop: httpx.AsyncClient) -> None:
    for code in ("phone-alice", "1';DROP/**/TABLE/**/member;--", "x&appid=wxother&js_code=login-alice"):
        answer = await shop.post("/sign-in", json={"code": code})
        assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")


@pytest.mark.parametrize(
    ("errcode", "status", "code"),
    [
        (-1, 503, "we_chat_unavailable"),
        (45011, 503, "we_chat_busy"),
        (40226, 403, "account_blocked"),
        (40125, 503, "we_chat_unavailable"),
    ],
)
async def test_what_wechat_says_reaches_the_client_by_name(
    shop: httpx.AsyncClient, known: Any, sql: Any, errcode: int, status: int, code: str
) -> None:
    known.refuse = errcode
    answer = await shop.post("/sign-in", json={"code": "login-alice"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert await sql.fetchval("SELECT count(*) FROM member_session") == 0


async def test_a_token_that_is_not_ours_is_a_401(shop: httpx.AsyncClient, alice: Any) -> None:
    token = alice.token
    flipped = ("B" if token[0] != "B" else "C") + token[1:]
    for wrong in (flipped, token[:-1], token + "A", "", "null", "eyJhbGciOiJub25lIn0.e30.", token.upper(), "é" * 43):
        answer = await shop.get("/me", headers={"authorization": f"Bearer {wrong}".encode()})
        assert answer.status_code == 401, wrong
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await shop.get("/me", headers={"authorization": f"Basic {token}"})).status_code == 401
    assert (await shop.get("/me")).status_code == 401
    assert (await shop.get(f"/me?access_token={token}&token={token}")).status_code == 401
    assert await _who(shop, token) == 200


async def test_a_token_ends_after_thirty_days(shop: httpx.AsyncClient, alice: Any, clock: ManualClock) -> None:
    clock.advance(timedelta(days=30) - timedelta(seconds=1))
    assert await _who(shop, alice.token) == 200
    clock.advance(timedelta(seconds=1))
    assert await _who(shop, alice.token) == 401


async def test_sign_out_ends_this_session_only(shop: httpx.AsyncClient, alice: Any) -> None:
    other = (await shop.post("/sign-in", json={"code": "login-alice.2"})).json()["accessToken"]
    assert await _who(shop, alice.token) == 200
    assert (await alice.ask("POST", "/sign-out")).status_code == 204
    assert await _who(shop, alice.token) == 401
    assert await _who(shop, other) == 200
    assert (await alice.ask("POST", "/sign-out")).status_code == 401


async def test_a_disabled_member_is_out_and_stays_out(
    shop: httpx.AsyncClient, alice: Any, db: Database, clock: ManualClock
) -> None:
    async with db.begin() as session:
        await people.disable(session, int(alice.id), clock.now())
    assert await _who(shop, alice.token) == 401
    answer = await shop.post("/sign-in", json={"code": "login-alice.2"})
    assert (answer.status_code, answer.json()["code"]) == (401, "member_disabled")
    async with db.begin() as session:
        await people.enable(session, int(alice.id))
    assert (await shop.post("/sign-in", json={"code": "login-alice.3"})).status_code == 200
    assert await _who(shop, alice.token) == 401


async def test_a_session_that_was_ended_expires_with_it_and_is_dropped(
    shop: httpx.AsyncClient, alice: Any, bob: Any, db: Database, clock: ManualClock, sql: Any
) -> None:
    clock.advance(timedelta(minutes=1))
    await shop.post("/sign-in", json={"code": "login-alice.2"})
    await alice.ask("POST", "/sign-out")
    async with db.begin() as session:
        await people.disable(session, int(alice.id), clock.now())
    ended = await sql.fetch("SELECT expires_at FROM member_session WHERE revoked_at IS NOT NULL")
    assert [row["expires_at"] for row in ended] == [clock.now()] * 2
    async with db.begin() as session:
        assert await sessions.sweep(session, clock.now()) is False
    assert await sql.fetchval("SELECT array_agg(member_id) FROM member_session") == [int(bob.id)]


async def test_another_process_hears_of_the_end(
    alice: Any, db: Database, clock: ManualClock, settings: Settings
) -> None:
    news = News(settings.database_direct_url)
    elsewhere = Sessions(db, clock, news)
    listening = asyncio.create_task(news.listen())
    await _until(lambda: news.holds(float("-inf")))
    assert (await elsewhere.who(alice.token)).member_id == int(alice.id)
    assert len(elsewhere._known._known) == 1
    await alice.ask("POST", "/sign-out")
    await _until(lambda: not elsewhere._known._known)
    with pytest.raises(SignInNeeded):
        await elsewhere.who(alice.token)
    listening.cancel()


async def test_without_news_memory_fades_within_a_second(alice: Any, db: Database, clock: ManualClock) -> None:
    deaf = Sessions(db, clock, News("postgresql://nobody@127.0.0.1:9/none"))
    assert (await deaf.who(alice.token)).member_id == int(alice.id)
    await alice.ask("POST", "/sign-out")
    await asyncio.sleep(TRUST_S)
    with pytest.raises(SignInNeeded):
        await deaf.who(alice.token)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


async def test_the_memory_is_bounded(alice: Any, bob: Any, db: Database, clock: ManualClock) -> None:
    small = Sessions(db, clock, News("postgresql://nobody@127.0.0.1:9/none"), size=1)
    await small.who(alice.token)
    await small.who(bob.token)
    assert len(small._known._known) == 1


async def test_signing_in_again_and_again_keeps_twenty_sessions(
    shop: httpx.AsyncClient, sql: Any, clock: ManualClock
) -> None:
    for n in range(MAX_PER_MEMBER + 2):
        clock.advance(timedelta(seconds=1))
        last = await shop.post("/sign-in", json={"code": f"login-alice.{n}"})
    assert await sql.fetchval("SELECT count(*) FROM member_session") == MAX_PER_MEMBER
    assert await _who(shop, last.json()["accessToken"]) == 200
