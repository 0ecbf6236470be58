import asyncio
from contextvars import Context
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.database import Database
from shop.privacy import erasure

pytestmark = pytest.mark.anyio


async def test_me_can_be_described(alice: Any) -> None:
    assert (await alice.ask("GET", "/me")).json()["nickname"] == ""
    changed = await alice.ask("PUT", "/me", {"nickname": "小明🙂", "avatarUrl": "/media/a.jpg"})
    assert changed.status_code == 200
    assert (changed.json()["nickname"], changed.json()["avatarUrl"]) == ("小明🙂", "/media/a.jpg")
    assert (await alice.ask("PUT", "/me", {"avatarUrl": ""})).json()["nickname"] == "小明🙂"
    assert (await alice.ask("GET", "/me")).json()["avatarUrl"] == ""


async def test_a_bad_description_is_a_400(alice: Any) -> None:
    for body in [
        {"nickname": "a\u0000"},
        {"nickname": "\u202eabc"},
        {"nickname": "x" * 65},
        {"nickname": None},
        {"avatarUrl": "javascript:alert(1)"},
        {"avatarUrl": "wxfile://tmp"},
        {"phone": "13800000000"},
        {"id": "2"},
        {"status": "active"},
        {"isNew": True},
        [],
        "x",
    ]:
        assert (await alice.ask("PUT", "/me", body)).status_code == 400


async def test_the_phone_is_bound_once_per_code_and_shown_masked(alice: Any, sql: Any) -> None:
    answer = await alice.ask("POST", "/me/phone", {"code": "phone-alice"})
    assert (answer.status_code, answer.json()["phone"]) == (200, "138****0000")
    assert await sql.fetchval("SELECT phone FROM member") == "13800000000"
    again = await alice.ask("POST", "/me/phone", {"code": "phone-alice"})
    assert (again.status_code, again.json()["code"]) == (400, "phone_code_invalid")


@pytest.mark.parametrize("code", ["phone-bob", "login-alice.9", "nonsense"])
async def test_another_users_code_binds_nothing(alice: Any, sql: Any, code: str) -> None:
    answer = await alice.ask("POST", "/me/phone", {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (400, "phone_code_invalid")
    assert await sql.fetchval("SELECT phone FROM member") is None


async def test_the_phone_needs_a_member(shop: Any) -> None:
    assert (await shop.post("/me/phone", json={"code": "phone-alice"})).status_code == 401


async def test_whoever_is_erased_while_wechat_thinks_is_nobody_any_more(alice: Any, known: Any, sql: Any) -> None:
    known.meanwhile = lambda: alice.ask("DELETE", "/me")
    answer = await alice.ask("POST", "/me/phone", {"code": "phone-alice"})
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
    assert tuple(await sql.fetchrow("SELECT phone, status FROM member")) == (None, "erased")


async def test_a_description_waits_for_an_erasure_and_finds_nobody(
    alice: Any, db: Database, clock: ManualClock, sql: Any
) -> None:
    async with db.begin() as session:
        await erasure.erase(session, int(alice.id), by="test", at=clock.now())
        describing = asyncio.create_task(alice.ask("PUT", "/me", {"nickname": "小明"}), context=Context())
        await _waits(sql)
    answer = await describing
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
    assert tuple(await sql.fetchrow("SELECT nickname, status FROM member")) == ("", "erased")


async def _waits(sql: Any) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(5):
        while not await sql.fetchval(waiting):
            await asyncio.sleep(0.005)
