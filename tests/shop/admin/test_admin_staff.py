import asyncio
import contextvars
from datetime import datetime
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from kit.database import Database
from kit.web.actor import Actor
from shop.admin import staff
from shop.members import people
from shop.shipping import templates

pytestmark = pytest.mark.anyio
NEW = {"login": "cleo", "name": "克莱奥", "password": "a long enough one", "role": "clerk"}


async def test_a_manager_adds_changes_and_dismisses(office: httpx.AsyncClient, ann: Any, sql: Any) -> None:
    made = await ann.ask("POST", "/staff", NEW)
    assert made.status_code == 201
    assert "password" not in made.text
    cleo = made.json()
    token = (await office.post("/sign-in", json={"login": "cleo", "password": NEW["password"]})).json()["accessToken"]
    cleos = {"authorization": f"Bearer {token}"}
    assert (await office.get("/me", headers=cleos)).status_code == 200
    changed = await ann.ask("PUT", f"/staff/{cleo['id']}", {"name": "Cleo", "disabled": True})
    assert (changed.json()["name"], changed.json()["role"], changed.json()["disabled"]) == ("Cleo", "clerk", True)
    assert (await office.get("/me", headers=cleos)).status_code == 401
    await ann.ask("PUT", f"/staff/{cleo['id']}", {"disabled": False})
    assert (await office.get("/me", headers=cleos)).status_code == 401
    names = [who["login"] for who in (await ann.ask("GET", "/staff")).json()["items"]]
    assert names == ["ann", "ben", "cleo"]
    done = await sql.fetch("SELECT action, facts::text FROM audit_entry WHERE subject = $1 ORDER BY id", cleo["id"])
    assert [row["action"] for row in done] == ["staff.add", "staff.sign_in", "staff.change", "staff.change"]
    assert "Cleo" not in "".join(row["facts"] for row in done)


async def test_a_login_is_taken_once(ann: Any) -> None:
    answers = await asyncio.gather(*(ann.ask("POST", "/staff", NEW) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"login_taken"}


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "clerk"}])
async def test_the_last_manager_stays(ann: Any, change: dict[str, Any]) -> None:
    answer = await ann.ask("PUT", f"/staff/{ann.id}", change)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_manager")
    assert (await ann.ask("GET", "/staff")).status_code == 200


async def test_two_managers_who_dismiss_each_other_leave_one(ann: Any, ben: Any, sql: Any) -> None:
    await ann.ask("PUT", f"/staff/{ben.id}", {"role": "manager"})
    answers = await asyncio.gather(
        ann.ask("PUT", f"/staff/{ben.id}", {"disabled": True}), ben.ask("PUT", f"/staff/{ann.id}", {"role": "clerk"})
    )
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert await sql.fetchval("SELECT count(*) FROM staff WHERE role = 'manager' AND NOT disabled") == 1


async def _dismiss(db: Database, whom: int, now: datetime) -> None:
    async with db.begin() as session:
        await staff.change(session, whom, disabled=True, by=Actor(kind="staff", id=1, name="x"), now=now)


async def test_the_second_of_two_who_dismiss_each_other_waits(
    ann: Any, ben: Any, db: Database, clock: ManualClock, sql: Any
) -> None:
    await ann.ask("PUT", f"/staff/{ben.id}", {"role": "manager"})
    async with db.begin() as session:
        await staff.change(session, int(ben.id), disabled=True, by=Actor("staff", int(ann.id), "ann"), now=clock.now())
        second = asyncio.create_task(_dismiss(db, int(ann.id), clock.now()), context=contextvars.Context())
        while not second.done() and not await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)  # `lock_timeout` ends it if nothing else does
    with pytest.raises(staff.LastManager):
        await second


async def test_a_reset_password_signs_everyone_out(office: httpx.AsyncClient, ann: Any, ben: Any) -> None:
    answer = await ann.ask("PUT", f"/staff/{ben.id}/password", {"newPassword": "fresh and long"})
    assert answer.status_code == 204
    assert (await ben.ask("GET", "/me")).status_code == 401
    again = await office.post("/sign-in", json={"login": "ben", "password": "fresh and long"})
    assert again.status_code == 200


async def test_a_bad_account_is_a_400(ann: Any) -> None:
    for more in [
        {"login": "Cleo"},
        {"login": "x"},
        {"login": "a b"},
        {"password": "short"},
        {"password": "x" * 129},
        {"role": "owner"},
        {"name": ""},
        {"permissions": ["staff.manage"]},
        {"id": "9"},
    ]:
        assert (await ann.ask("POST", "/staff", NEW | more)).status_code == 400


async def test_nobody_is_a_404(ann: Any) -> None:
    for path, body in (("/staff/999", {"name": "x"}), ("/staff/999/password", {"newPassword": "fresh and long"})):
        answer = await ann.ask("PUT", path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "staff_not_found")
    assert (await ann.ask("PUT", "/staff/abc", {"name": "x"})).status_code == 400


async def test_the_audit_log_is_filtered_and_paged(ann: Any, ben: Any) -> None:
    for n in range(3):
        await ann.ask("PUT", f"/staff/{ben.id}", {"name": f"Ben {n}"})
    query = f"/audit?subjectKind=staff&subject={ben.id}&actor=staff:{ann.id}&action=staff.change&limit=2"
    first = (await ann.ask("GET", query)).json()
    assert [entry["action"] for entry in first["items"]] == ["staff.change"] * 2
    second = (await ann.ask("GET", f"{query}&cursor={first['nextCursor']}")).json()
    assert len(second["items"]) == 1
    assert second["nextCursor"] is None
    ids = [int(entry["id"]) for entry in first["items"] + second["items"]]
    assert ids == sorted(ids, reverse=True)


async def test_a_bad_question_to_the_log_is_a_400(ann: Any) -> None:
    for query in ["limit=0", "limit=101", "limit=x", "cursor=forged", "cursor=W10", "subject=a'%20OR%201", "actor=%00"]:
        assert (await ann.ask("GET", f"/audit?{query}")).status_code == 400


async def test_freight_is_listed_and_changed_by_managers(ann: Any, db: Any, sql: Any) -> None:
    async with db.begin() as session:
        await templates.ensure_default(session)
    async with db.begin() as session:
        await templates.ensure_default(session)
    (kept,) = (await ann.ask("GET", "/freight-templates")).json()["items"]
    assert (kept["firstFen"], kept["isDefault"], kept["overrides"][0]["firstFen"]) == (800, True, 1500)
    path = f"/freight-templates/{kept['id']}"
    body = {"name": "新", "firstG": 500, "firstFen": 0, "extraG": 500, "extraFen": 100, "undeliverable": ["西藏"]}
    changed = await ann.ask("PUT", path, body)
    assert changed.status_code == 200
    assert changed.json() == (await ann.ask("GET", path)).json()
    async with db.begin() as session:
        template = await templates.default(session)
    assert (template.rate.first_g, template.rate.free_over_fen, template.regions.undeliverable) == (500, None, ["西藏"])
    for bad in (
        {"firstG": 0},
        {"firstFen": -1},
        {"firstFen": 1.5},
        {"name": ""},
        {"isDefault": True},
        {"overrides": [{}]},
    ):
        assert (await ann.ask("PUT", path, body | bad)).status_code == 400
    assert (await ann.ask("PUT", "/freight-templates/999", body)).status_code == 404
    assert await sql.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'freight.change'") == 1


async def test_a_member_is_shut_out_and_let_in(ann: Any, db: Any, clock: Any, office: httpx.AsyncClient) -> None:
    async with db.begin() as session:
        token, member, _ = await people.sign_in(session, appid="wx1", openid="o1", unionid=None, now=clock.now())
    guest = {"authorization": f"Bearer {token}"}
    path = f"/members/{member.id}"
    assert (await ann.ask("GET", path)).json()["status"] == "active"
    assert (await ann.ask("POST", f"{path}/disable")).json()["status"] == "disabled"
    assert (await office.get("http://shop/api/v1/me", headers=guest)).status_code == 401
    assert (await ann.ask("POST", f"{path}/enable")).json()["status"] == "active"
    assert (await ann.ask("POST", "/members/999/disable")).status_code == 404
    log = (await ann.ask("GET", f"/audit?subjectKind=member&subject={member.id}")).json()["items"]
    assert [entry["action"] for entry in log] == ["member.enable", "member.disable"]
