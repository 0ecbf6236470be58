"""Unique secrets and personal values go through every route, good and bad, at the most talkative log level; none stays.

The answers are searched too: a refusal or a crash gives away no stack, no statement, and no one else's value.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from scene import Scene
from started import Started
from test_actors import DOCUMENT, body_of

from shop.admin.passwords import Passwords
from shop.admin.roles import Role

NAME, DETAIL, NICKNAME, NOTE = "金丝雀甲七", "金丝雀巷三十九号", "金丝雀昵称零", "金丝雀留言请放门口"
ADDRESS_PHONE, BOUND_PHONE, GIVEN_PHONE = "13977770001", "13977770002", "13977770003"
PASSWORD, NEW_PASSWORD = "canary-password-5c9e", "canary-newpassword-77d1"
KEPT = {"member_session", "staff_session", "identity", "member", "staff", "location", "alembic_version"}
"""Without these nobody gets as far as the rest."""


@dataclass
class Aviary:
    """What was sent, and what must be seen nowhere."""

    scene: Scene
    canaries: dict[str, str] = field(default_factory=dict)
    answers: list[httpx.Response] = field(default_factory=list)

    def ask(self, method: str, path: str, token: str = "", body: Any = None, **headers: str) -> httpx.Response:
        answer = self.scene.shop.ask(method, path, token, body, **headers)
        self.answers.append(answer)
        return answer

    def found_in(self, text: str) -> list[str]:
        """Which canaries sing in it: plain, escaped as in JSON, or quoted as in an address."""
        forms = {
            name: {value, json.dumps(value)[1:-1], quote(value), repr(value)[1:-1]}
            for name, value in self.canaries.items()
        }
        return [name for name, spellings in forms.items() if any(spelling in text for spelling in spellings)]


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aviary]:
    with Started(tmp_path_factory.mktemp("canaries"), log_level="debug") as shop:
        scene = Scene(shop)
        aviary = Aviary(scene)
        env = shop.world.env
        user = shop.world.tell("users", user=scene.user, phone=BOUND_PHONE, unionid=f"u{secrets.token_hex(12)}")
        aviary.canaries = {
            "name": NAME,
            "detail": DETAIL,
            "nickname": NICKNAME,
            "note": NOTE,
            "address phone": ADDRESS_PHONE,
            "bound phone": BOUND_PHONE,
            "given phone": GIVEN_PHONE,
            "password": PASSWORD,
            "new password": NEW_PASSWORD,
            "openid": user["openid"],
            "unionid": user["unionid"],
            "appsecret": env["WECHAT_APP_SECRET"],
            "apiv3 key": env["WECHAT_PAY_APIV3_KEY"],
            "private key": Path(env["WECHAT_PAY_PRIVATE_KEY"]).read_text().splitlines()[3]
            if len(env["WECHAT_PAY_PRIVATE_KEY"]) < 400
            else env["WECHAT_PAY_PRIVATE_KEY"].replace("\\n", "\n").splitlines()[3],
            "database password": re.search(r":([^:@]+)@", shop.cluster.app_url())[1],
        }
        yield aviary


def _sign_in(aviary: Aviary) -> str:
    """Anew, with the code and the token among the canaries."""
    code = aviary.scene.shop.world.code(aviary.scene.user)
    token = str(aviary.ask("POST", "/api/v1/sign-in", "", {"code": code}).json()["accessToken"])
    again = aviary.ask("POST", "/api/v1/sign-in", "", {"code": code})
    assert again.status_code == 401
    number = len(aviary.canaries)
    aviary.canaries |= {f"code {number}": code, f"member token {number}": token}
    return token


def _personal(body: Any) -> Any:
    """The least body that fits, with canaries in it."""
    values = {
        "name": NAME,
        "detail": DETAIL,
        "phone": ADDRESS_PHONE,
        "nickname": NICKNAME,
        "note": NOTE,
        "reason": NOTE,
        "resolution": NOTE,
        "password": PASSWORD,
        "newPassword": NEW_PASSWORD,
    }
    if isinstance(body, dict):
        return {key: values.get(key, _personal(value)) for key, value in body.items()}
    return body


def _paths() -> Iterator[tuple[str, str, dict[str, Any]]]:
    ending = {"signOut", "staffSignOut", "disableMember", "deleteAddress", "updateStaff", "eraseMe", "eraseMember"}
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] not in ending:
                yield method.upper(), path, operation


def _everywhere(aviary: Aviary, token: str, manager: str) -> None:
    """Every route: as it should be, with broken bodies, strange fields, and canaries in the address."""
    for method, path, operation in _paths():
        ids = {name: aviary.scene.ids(name, path)[0] for name in re.findall(r"{(\w+)}", path)}
        url = re.sub(r"{(\w+)}", lambda name, ids=ids: ids[name[1]], path)
        who = manager if path.startswith("/admin/") else token
        body = _personal(body_of(operation))
        aviary.ask(method, url, who, body)
        aviary.ask(method, f"{url}?q={quote(NAME)}&phone={GIVEN_PHONE}&token={token}&cursor={token}&code=x", who, body)
        if body is not None:
            aviary.ask(method, url, who, {**body, "phone": GIVEN_PHONE, NAME: DETAIL, "openid": "x"})
            aviary.ask(method, url, who, {key: {"phone": GIVEN_PHONE, "name": NAME} for key in body})
            broken = f'{{"phone": "{GIVEN_PHONE}", "name": "{NAME}", "password": "{PASSWORD}"'.encode()
            headers = {"authorization": f"Bearer {who}", "content-type": "application/json"}
            aviary.answers.append(aviary.scene.shop.http.request(method, url, content=broken, headers=headers))
        if ids:
            aviary.ask(method, re.sub(r"{\w+}", GIVEN_PHONE, path), who, body)


@pytest.mark.trial("R31")
def test_nothing_secret_or_personal_gets_out(aviary: Aviary) -> None:
    scene, shop = aviary.scene, aviary.scene.shop
    token, (_, boss) = _sign_in(aviary), shop.operator(Role.MANAGER, asyncio.run(Passwords().hash(PASSWORD)))
    login = shop.sql("SELECT login FROM staff ORDER BY id DESC LIMIT 1")[0]["login"]
    signed_in = aviary.ask("POST", "/admin/v1/sign-in", "", {"login": login, "password": PASSWORD})
    manager = signed_in.json()["accessToken"]
    aviary.canaries |= {"manager token": manager, "other token": boss}
    aviary.ask("POST", "/admin/v1/sign-in", "", {"login": PASSWORD, "password": PASSWORD})
    assert aviary.ask("PUT", "/api/v1/me", token, {"nickname": NICKNAME}).status_code == 200
    phone_code = shop.world.code(scene.user, "phone")
    aviary.canaries["phone code"] = phone_code
    assert aviary.ask("POST", "/api/v1/me/phone", token, {"code": phone_code}).status_code == 200
    address = {"name": NAME, "phone": ADDRESS_PHONE, "province": "广东省", "city": "深圳市", "detail": DETAIL}
    scene.address_id = aviary.ask("POST", "/api/v1/addresses", token, address).json()["id"]
    wish = {**scene.wish(), "note": NOTE, "expectedPayFen": 0}
    wish["expectedPayFen"] = aviary.ask("POST", "/api/v1/orders", token, wish).json()["preview"]["payFen"]
    placed = aviary.ask("POST", "/api/v1/orders", token, wish)
    assert placed.status_code == 201, placed.text
    scene.no = placed.json()["no"]

    _everywhere(aviary, token, manager)
    _while_wechat_is_ill(aviary, token)
    _while_tables_are_missing(aviary)

    log = shop.log.read_text(encoding="utf-8", errors="replace")
    assert log.count('"event":"request"') > 300, "the log was read, and is talkative"
    assert scene.no in log
    assert log.count('"event":"unhandled"') > 20, "crashes were written down"
    assert aviary.found_in(log) == []
    assert aviary.found_in(shop.database_log.read_text(encoding="utf-8", errors="replace")) == []
    _no_answer_gives_more_away_than_it_must(aviary)


def _while_wechat_is_ill(aviary: Aviary, token: str) -> None:
    scene, world = aviary.scene, aviary.scene.shop.world
    for effect in ("500", "502_html", "429", "bad_response_signature", "500_after"):
        world.faults(path="/v3/", effect=effect, times=3)
        aviary.ask("POST", f"/api/v1/orders/{scene.no}/prepay", token)
        aviary.ask("POST", f"/api/v1/orders/{scene.no}/payment/refresh", token)
        world.heal()
    for errcode in (-1, 40029, 45011, 40125):
        world.faults(path="/sns/", effect="errcode", errcode=errcode, times=3)
        code = world.code(scene.user)
        aviary.canaries[f"code {errcode}"] = code
        aviary.ask("POST", "/api/v1/sign-in", "", {"code": code})
        world.heal()


def _while_tables_are_missing(aviary: Aviary) -> None:
    """Every route crashes; each answer says so in one sentence."""
    scene, shop = aviary.scene, aviary.scene.shop
    scene.mend()
    aviary.canaries |= {"last token": scene.token, "last manager": scene.manager}
    tables = [row["tablename"] for row in shop.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    gone = [table for table in tables if table not in KEPT]
    for table in gone:
        shop.sql(f'ALTER TABLE "{table}" RENAME TO "gone_{table}"')
    before = len(aviary.answers)
    try:
        _everywhere(aviary, scene.token, scene.manager)
    finally:
        for table in gone:
            shop.sql(f'ALTER TABLE "gone_{table}" RENAME TO "{table}"')
    crashed = [answer for answer in aviary.answers[before:] if answer.status_code == 500]
    assert len({answer.request.url.path for answer in crashed}) > 20
    for answer in crashed:
        if answer.request.url.path.startswith(("/api/", "/admin/")):
            assert set(answer.json()) == {"type", "title", "status", "code", "detail", "requestId"}


def _no_answer_gives_more_away_than_it_must(aviary: Aviary) -> None:
    never = {"openid", "unionid", "appsecret", "apiv3 key", "private key", "database password", "password"}
    for answer in aviary.answers:
        text = answer.text
        assert "session_key" not in text
        assert "sessionKey" not in text
        own = {"openid", "unionid"} if answer.request.url.path == "/api/v1/me/export" else set()  # a copy is whole
        assert [name for name in aviary.found_in(text) if name in never - own] == [], (answer.request.url, text)
        inner = re.findall(r"Traceback|sqlalchemy|asyncpg|SELECT |INSERT |\.py\b|File \"|PostgreSQL|granian", text)
        assert answer.request.url.path.startswith("/docs") or inner == [], (answer.request.url, text)
        assert not re.search(r"\d", answer.headers.get("server", "")), "the server's version is nobody's business"
