import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from kit.database import Database
from shop.admin import staff
from shop.admin.passwords import Passwords

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
RESET = "fresh and long"


async def _try(office: httpx.AsyncClient, login: str, password: str, **headers: str) -> httpx.Response:
    return await office.post("/sign-in", json={"login": login, "password": password}, headers=headers)


async def test_a_manager_signs_in_and_sees_their_rights(office: httpx.AsyncClient, sql: Any) -> None:
    answer = await _try(office, "Ann", PASSWORD)
    assert answer.status_code == 200
    body = answer.json()
    assert body["expiresIn"] == 12 * 3600
    assert (body["staff"]["login"], body["staff"]["role"]) == ("ann", "manager")
    assert "staff.manage" in body["staff"]["permissions"]
    me = await office.get("/me", headers={"authorization": f"Bearer {body['accessToken']}"})
    assert me.json() == body["staff"]
    kept = await sql.fetchval("SELECT staff_session::text FROM staff_session")
    assert body["accessToken"] not in kept
    assert (await sql.fetchval("SELECT password_hash FROM staff WHERE login = 'ann'")).startswith("$argon2id$")
    assert [tuple(row) for row in await sql.fetch("SELECT actor, action FROM audit_entry WHERE actor <> 'test'")] == [
        ("staff:1", "staff.sign_in")
    ]


async def test_wrong_unknown_and_disabled_are_told_apart_by_nobody(
    office: httpx.AsyncClient, ann: Any, ben: Any
) -> None:
    await ann.ask("PUT", f"/staff/{ben.id}", {"disabled": True})
    answers = [
        await _try(office, "ann", "wrong"),
        await _try(office, "nobody", "wrong"),
        await _try(office, "ben", PASSWORD),
    ]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [{k: v for k, v in answer.json().items() if k != "requestId"} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "wrong_password"


async def test_an_unknown_login_costs_the_same_work(passwords: Passwords) -> None:
    calls = []

    class Counting:
        def hash(self, password: str) -> str:
            return "nobodys"

        def verify(self, password_hash: str, password: str) -> bool:
            calls.append(password_hash)
            return True

    counting = Passwords(Counting())  # type: ignore[arg-type]
    assert await counting.verify(None, "x") is False
    assert await counting.verify("known", "x") is True
    assert calls == ["nobodys", "known"]


@pytest.mark.parametrize("login", ["ann", "nobody"])
async def test_ten_failures_lock_a_login_whoever_the_client_says_it_is(
    office: httpx.AsyncClient, clock: ManualClock, login: str
) -> None:
    for n in range(10):
        answer = await _try(
            office, login, "wrong", **{"x-forwarded-for": f"10.9.8.{n}", "forwarded": f"for=10.1.1.{n}"}
        )
        assert answer.status_code == 401
    locked = await _try(office, login, PASSWORD, **{"x-forwarded-for": "10.7.7.7"})
    assert (locked.status_code, locked.json()["code"]) == (429, "too_many_attempts")
    assert locked.headers["retry-after"] == "900"
    assert (await _try(office, "ben", PASSWORD)).status_code == 200
    clock.advance(timedelta(minutes=15))
    assert (await _try(office, login, PASSWORD)).status_code == (200 if login == "ann" else 401)


async def test_guesses_at_once_are_not_let_through(office: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(_try(office, "ann", f"guess-{n}") for n in range(16)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 6


async def test_a_success_forgives_the_login(office: httpx.AsyncClient) -> None:
    for _ in range(3):
        for _ in range(9):
            assert (await _try(office, "ann", "wrong")).status_code == 401
        assert (await _try(office, "ann", PASSWORD)).status_code == 200


async def test_one_address_may_not_try_many_logins(office: httpx.AsyncClient) -> None:
    for n in range(50):
        answer = await _try(office, f"user{n}", "wrong", **{"x-forwarded-for": f"10.9.8.{n}"})
        assert answer.status_code == 401
    assert (await _try(office, "ann", PASSWORD)).status_code == 429


async def test_a_bad_body_is_a_400(office: httpx.AsyncClient) -> None:
    for body in [
        {},
        {"login": "ann"},
        {"login": "ann", "password": ""},
        {"login": "ann", "password": "x" * 129},
        {"login": "a\u0000", "password": "x"},
        {"login": "ann", "password": PASSWORD, "role": "manager"},
        {"login": {"$ne": None}, "password": "x"},
    ]:
        assert (await office.post("/sign-in", json=body)).status_code == 400


async def test_a_session_ends_by_signing_out_and_by_time(
    office: httpx.AsyncClient, ann: Any, ben: Any, clock: ManualClock
) -> None:
    assert (await ann.ask("POST", "/sign-out")).status_code == 204
    assert (await ann.ask("GET", "/me")).status_code == 401
    clock.advance(timedelta(hours=12) - timedelta(seconds=1))
    assert (await ben.ask("GET", "/me")).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert (await ben.ask("GET", "/me")).status_code == 401


async def test_a_new_password_ends_the_other_sessions(office: httpx.AsyncClient, ann: Any) -> None:
    other = (await _try(office, "ann", PASSWORD)).json()["accessToken"]
    change = {"password": PASSWORD, "newPassword": "another fine password"}
    wrong = await ann.ask("POST", "/me/password", change | {"password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "old_password_wrong")
    assert (await ann.ask("POST", "/me/password", change)).status_code == 204
    assert (await ann.ask("GET", "/me")).status_code == 200
    assert (await office.get("/me", headers={"authorization": f"Bearer {other}"})).status_code == 401
    assert (await _try(office, "ann", PASSWORD)).status_code == 401
    assert (await _try(office, "ann", "another fine password")).status_code == 200


async def _reset(ann: Any, ben: Any) -> None:
    assert (await ann.ask("PUT", f"/staff/{ben.id}/password", {"newPassword": RESET})).status_code == 204


async def test_a_reset_is_not_overwritten_by_who_knew_the_old_password(
    office: httpx.AsyncClient, ann: Any, ben: Any, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs was right when it was looked at; the manager is done while their new one is hashed."""
    theirs, hashed = "another fine password", passwords.hash

    async def after_the_reset(password: str) -> str:
        if password == theirs:
            await _reset(ann, ben)
        return await hashed(password)

    monkeypatch.setattr(passwords, "hash", after_the_reset)
    answer = await ben.ask("POST", "/me/password", {"password": PASSWORD, "newPassword": theirs})
    assert (answer.status_code, answer.json().get("code")) == (422, "old_password_wrong")
    assert (await ben.ask("GET", "/me")).status_code == 401
    assert (await _try(office, "ben", theirs)).status_code == 401
    assert (await _try(office, "ben", RESET)).status_code == 200


async def test_nobody_signs_in_past_a_reset(
    office: httpx.AsyncClient, ann: Any, ben: Any, passwords: Passwords, monkeypatch: pytest.MonkeyPatch, sql: Any
) -> None:
    """The old password was right, and is no longer when the session would begin."""
    verify = passwords.verify

    async def and_then_the_reset(*given: Any) -> bool:
        right = await verify(*given)
        await _reset(ann, ben)
        return right

    monkeypatch.setattr(passwords, "verify", and_then_the_reset)
    answer = await _try(office, "ben", PASSWORD)
    assert (answer.status_code, answer.json().get("code")) == (401, "wrong_password")
    living = "SELECT count(*) FROM staff_session WHERE staff_id = $1 AND revoked_at IS NULL"
    assert await sql.fetchval(living, int(ben.id)) == 0


async def test_guessing_the_old_password_is_bounded_too(ann: Any) -> None:
    change = {"password": "wrong", "newPassword": "another fine password"}
    codes = [(await ann.ask("POST", "/me/password", change)).status_code for _ in range(11)]
    assert codes == [422] * 10 + [429]


async def test_the_first_operator_is_made_once_even_at_once(
    db: Database, passwords: Passwords, clock: ManualClock, sql: Any
) -> None:
    async def ensure() -> str | None:
        async with db.begin() as session:
            return await staff.ensure_operator(session, clock.now(), passwords)

    made = await asyncio.gather(*(ensure() for _ in range(4)))
    assert sum(password is not None for password in made) == 1
    assert [tuple(row) for row in await sql.fetch("SELECT login, role FROM staff")] == [("admin", "manager")]
