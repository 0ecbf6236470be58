"""Who asks too often hears 429 and when to come again; nobody else notices, and WeChat never does."""

import dataclasses
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from argon2 import PasswordHasher
from unheard import Unheard

from kit.clock import ManualClock
from kit.database import Database
from shop.admin import sessions as staff_sessions
from shop.admin import staff
from shop.admin.passwords import Passwords
from shop.admin.roles import Role
from shop.app import create_app
from shop.members import people
from shop.orders.drafts import Ask, Placed
from shop.orders.placing import Placing
from shop.settings import LimitSettings, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.trial("R32")]
ANN, BEN = {"x-forwarded-for": "1.2.3.4"}, {"x-forwarded-for": "1.2.3.5"}


@asynccontextmanager
async def opened(
    settings: Settings, clock: ManualClock, **rates: tuple[float, int]
) -> AsyncIterator[httpx.AsyncClient]:
    """The shop with these limits, behind a proxy on this machine."""
    settings = dataclasses.replace(settings, limits=LimitSettings(**rates), trusted_proxies="127.0.0.1/32")
    app = create_app(
        settings,
        clock=clock,
        news=Unheard(),
        passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


async def _member(db: Database, clock: ManualClock) -> dict[str, str]:
    async with db.begin() as session:
        openid = f"o{secrets.token_hex(13)}"
        token, _, _ = await people.sign_in(
            session, appid="wx0000000000000001", openid=openid, unionid=None, now=clock.now()
        )
    return {"authorization": f"Bearer {token}"}


async def _placed(_: Placing, _ask: Ask) -> Placed:
    return Placed("1", b"{}")


async def _manager(db: Database, clock: ManualClock) -> dict[str, str]:
    async with db.begin() as session:
        who = await staff.add(
            session,
            login=f"op{secrets.token_hex(4)}",
            name="Op",
            password_hash="none",
            role=Role.MANAGER,
            by="test",
            now=clock.now(),
        )
        token = await staff_sessions.open_one(session, who.id, clock.now())
    return {"authorization": f"Bearer {token}"}


def _is_refused(answer: httpx.Response, limit: str) -> bool:
    if answer.status_code != 429:
        return False
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"
    assert (body["code"], body["limit"], body["status"]) == ("too_many_requests", limit, 429)
    assert body["requestId"] == answer.headers["x-request-id"] != ""
    return True


async def test_a_member_who_asks_too_often(settings: Settings, db: Database, clock: ManualClock) -> None:
    """Of two hundred at once a hundred pass; the catalog and the other member are as before."""
    ann, ben = await _member(db, clock), await _member(db, clock)
    async with opened(settings, clock, member=(0.01, 100)) as http:
        answers = [await http.get("/api/v1/me", headers=ann) for _ in range(200)]
        assert [answer.status_code for answer in answers] == [200] * 100 + [429] * 100
        assert all(_is_refused(answer, "member") for answer in answers[100:])
        other = await http.post("/api/v1/sign-out", headers=ann | {"accept-language": "en"})
        assert other.json()["detail"].startswith("Too many requests"), "one bucket for all that a member does"
        assert (await http.get("/api/v1/me", headers=ben)).status_code == 200
        assert (await http.get("/api/v1/products")).status_code == 200


async def test_a_member_who_writes_too_often_may_still_read(
    settings: Settings, db: Database, clock: ManualClock, sql: Any
) -> None:
    ann = await _member(db, clock)
    address = {"name": "张三", "phone": "13800000000", "province": "广东省", "city": "深圳市", "detail": "一路1号"}
    async with opened(settings, clock, member=(1, 1000), member_writes=(0.01, 3)) as http:
        answers = [await http.post("/api/v1/addresses", json=address, headers=ann) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 3
        assert await sql.fetchval("SELECT count(*) FROM address") == 3, "refused before anything is done"
        prepaid = await http.post(
            f"/api/v1/orders/D{'0' * 22}/prepay", headers=ann | {"idempotency-key": "a-key-of-ann"}
        )
        assert _is_refused(prepaid, "member_writes")
        assert len((await http.get("/api/v1/addresses", headers=ann)).json()["items"]) == 3


async def test_an_address_with_many_tokens(settings: Settings, db: Database, clock: ManualClock) -> None:
    """However many members it signs in, and whatever it says of where it comes from."""
    async with opened(settings, clock, address=(0.01, 50), member=(1, 10)) as http:
        tokens = [await _member(db, clock) for _ in range(60)]
        answers = [
            await http.get("/api/v1/me", headers=token | {"x-forwarded-for": f"9.9.9.{n}, 1.2.3.4"})
            for n, token in enumerate(tokens)
        ]
        assert [answer.status_code for answer in answers] == [200] * 50 + [429] * 10
        assert all(_is_refused(answer, "address") for answer in answers[50:])
        for path in ("/api/v1/products", "/docs", "/admin/v1/me", "/nowhere"):
            assert _is_refused(await http.get(path, headers=ANN), "address"), path
        assert (await http.get("/api/v1/products", headers=BEN)).status_code == 200
        assert (await http.get("/api/v1/me", headers=tokens[0] | BEN)).status_code == 200


async def test_a_page_at_hand_is_counted_too(settings: Settings, clock: ManualClock) -> None:
    """What is answered before routing is not answered for nothing."""
    async with opened(settings, clock, address=(0.01, 5)) as http:
        answers = [await http.get("/api/v1/products", headers=ANN) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3


async def test_wechat_and_probes_are_never_counted(settings: Settings, clock: ManualClock) -> None:
    """Forged notices come from wherever WeChat's own come from: a bucket would lose a genuine one."""
    async with opened(settings, clock, address=(0.01, 1), address_writes=(0.01, 1)) as http:
        for _ in range(300):
            answer = await http.post("/wechat/pay/notify", json={}, headers=ANN)
            assert answer.status_code == 401
        for path in ("/healthz", "/readyz"):
            assert [(await http.get(path, headers=ANN)).status_code for _ in range(5)] == [200] * 5


async def test_metrics_are_for_our_own_network(settings: Settings, clock: ManualClock) -> None:
    """They say how much is sold. Loopback and private networks see them, nobody on the internet does."""
    async with opened(settings, clock, address=(0.01, 1)) as http:
        for near in ({}, {"x-forwarded-for": "10.1.2.3"}):
            assert [(await http.get("/metrics", headers=near)).status_code for _ in range(3)] == [200] * 3
        for far in ("1.2.3.4", "127.0.0.1, 1.2.3.4", "2400:3200::1", "1.2.3.4:4711", "10.1.2.3, unknown", ""):
            assert (await http.get("/metrics", headers={"x-forwarded-for": far})).status_code == 404, far


async def test_codes_and_passwords_by_address(settings: Settings, clock: ManualClock) -> None:
    """No call of WeChat, no argon2: they are counted before."""
    async with opened(settings, clock, address=(1, 1000), address_writes=(0.01, 4)) as http:
        answers = [await http.post("/api/v1/sign-in", json={"code": ""}, headers=ANN) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [400] * 4
        assert _is_refused(await http.post("/api/v1/sign-in", json={"code": "x"}, headers=ANN), "address_writes")
        password = {"login": "ann", "password": "guess"}
        assert _is_refused(await http.post("/admin/v1/sign-in", json=password, headers=ANN), "address_writes")
        assert (await http.post("/admin/v1/sign-in", json=password, headers=BEN)).status_code == 401


async def test_failed_passwords_are_counted_where_the_client_is(settings: Settings, clock: ManualClock) -> None:
    """Behind a proxy that was named, one who guesses locks nobody else out, and gains nothing by what they write."""
    async with opened(settings, clock) as http:
        for n in range(50):
            told = {"x-forwarded-for": f"9.9.9.{n}, 1.2.3.4"}
            answer = await http.post("/admin/v1/sign-in", json={"login": f"user{n}", "password": "x"}, headers=told)
            assert answer.status_code == 401
        once_more = {"login": "somebody", "password": "x"}
        assert (await http.post("/admin/v1/sign-in", json=once_more, headers=ANN)).status_code == 429
        assert (await http.post("/admin/v1/sign-in", json=once_more, headers=BEN)).status_code == 401


async def test_an_account_of_the_staff(settings: Settings, db: Database, clock: ManualClock) -> None:
    """What is downloaded is counted beside the rest."""
    ann, ben = await _manager(db, clock), await _manager(db, clock)
    bill = "/admin/v1/reconciliation/days/2026-03-02/bills/trade"
    async with opened(settings, clock, staff=(0.01, 10), exports=(0.01, 3)) as http:
        answers = [await http.get(bill, headers=ann) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [404] * 3 + [429] * 2
        assert all(_is_refused(answer, "exports") for answer in answers[3:])
        assert [(await http.get("/admin/v1/me", headers=ann)).status_code for _ in range(6)] == [200] * 5 + [429]
        assert _is_refused(await http.get("/admin/v1/me", headers=ann), "staff")
        assert (await http.get(bill, headers=ben)).status_code == 404


async def test_orders_and_copies_of_a_member(
    settings: Settings, db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever orders and cancels in turn leaves rows for ever and holds goods that others want: not without end. Who asks
    in vain, as one does in a rush, is not counted."""
    ann, ben = await _member(db, clock), await _member(db, clock)
    odd = "application/json; charset=utf-8"  # goes the long way
    async with opened(settings, clock, member_orders=(0.01, 4), member_exports=(0.01, 2)) as http:

        async def order(who: dict[str, str], content_type: str = "application/json") -> httpx.Response:
            headers = who | {"idempotency-key": secrets.token_hex(8), "content-type": content_type}
            wish = {"lines": [{"skuId": "1", "quantity": 1}], "expectedPayFen": 1}
            return await http.post("/api/v1/orders", content=msgspec.json.encode(wish), headers=headers)

        assert {(await order(ann, way)).status_code for way in ("application/json", odd) * 5} == {422}, "no such SKU"
        monkeypatch.setattr(Placing, "place", _placed)
        answers = [await order(ann) for _ in range(3)] + [await order(ann, odd)]
        assert {answer.status_code for answer in answers} == {201}
        assert _is_refused(await order(ann), "member_orders")
        assert _is_refused(await order(ann, odd), "member_orders")
        assert (await order(ben)).status_code == 201
        copies = [await http.get("/api/v1/me/export", headers=ann) for _ in range(3)]
        assert [answer.status_code for answer in copies] == [200, 200, 429]
        assert _is_refused(copies[-1], "member_exports")
        assert (await http.get("/api/v1/orders", headers=ann)).status_code == 200


async def test_what_only_begins_like_wechats_way_is_counted(settings: Settings, clock: ManualClock) -> None:
    async with opened(settings, clock, address=(0.01, 3)) as http:
        paths = ("/wechat/", "/wechat/pay/notify/x", "/healthzz", "/wechat/pay/notif")
        answers = [await http.get(path, headers=ANN) for path in paths]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]


async def test_nobody_is_counted_before_their_token_is_seen_to_be_one(
    settings: Settings, db: Database, clock: ManualClock
) -> None:
    """Nobody spends another's bucket."""
    ann = await _member(db, clock)
    async with opened(settings, clock, member=(0.01, 1)) as http:
        for _ in range(5):
            answer = await http.get("/api/v1/me", headers={"authorization": ann["authorization"][:-1]})
            assert answer.status_code == 401
        assert (await http.get("/api/v1/me", headers=ann)).status_code == 200
