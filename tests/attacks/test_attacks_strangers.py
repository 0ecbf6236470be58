"""Who is nobody, or somebody else: made-up tokens, cookies, walked ids, other peoples' cursors, doors of the machines."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import secrets
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from scene import Scene
from started import Started
from trialing import Rounds

from shop.admin.passwords import Passwords
from shop.admin.roles import Role

pytestmark = pytest.mark.trial("R32")
DEFAULTS = ("X-Litemall-Token", "crmeb", "newbee", "secret", "", "1900000001", "HS256", "-----BEGIN PUBLIC KEY-----")
OTHERS = ("authorization", "x-litemall-token", "x-litemall-admin-token", "authori-zation", "token", "x-access-token")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Started(tmp_path_factory.mktemp("strangers")) as shop:
        yield Scene(shop)


@pytest.fixture(scope="module")
def mallory(scene: Scene) -> str:
    return scene.somebody_else()


def _coded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _signed_tokens(member_id: str) -> Iterator[str]:
    """What shops that believe signed tokens were opened with."""
    claims = _coded(
        {"sub": member_id, "userId": int(member_id), "memberId": member_id, "role": "manager", "exp": 2**40}
    )
    for algorithm in ("none", "None", "NONE", ""):
        for tail in ("", "AAAA"):
            yield f"{_coded({'alg': algorithm, 'typ': 'JWT'})}.{claims}.{tail}"
    for secret in DEFAULTS:
        for extra in (
            {},
            {"kid": "../../../dev/null"},
            {"jwk": {"kty": "oct", "k": ""}},
            {"jku": "http://127.0.0.1:9/"},
        ):
            head = f"{_coded({'alg': 'HS256', 'typ': 'JWT', **extra})}.{claims}"
            yield f"{head}.{_coded(hmac.digest(secret.encode(), head.encode(), hashlib.sha256))}"


def test_no_signed_token_is_believed(scene: Scene) -> None:
    """Tokens here are random and looked up: there is no secret to guess, and none to sign with."""
    for token in _signed_tokens(scene.member_id):
        for name in OTHERS:
            value = f"Bearer {token}" if name == "authorization" else token
            for path in ("/api/v1/me", "/admin/v1/me"):
                answer = scene.shop.http.get(path, headers={name: value})
                assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed"), (name, token[:40])


def test_a_token_of_another_shop_is_none(scene: Scene) -> None:
    for token in (secrets.token_urlsafe(32), scene.token[::-1], scene.token.swapcase(), scene.manager[:-1] + "_"):
        assert scene.shop.ask("GET", "/api/v1/me", token).status_code == 401
        assert scene.shop.ask("GET", "/admin/v1/me", token).status_code == 401


def test_who_signs_in_gets_a_token_that_nobody_chose(scene: Scene) -> None:
    """Whatever a client brings along, signing in makes a new session; there are no cookies that could be planted."""
    password = "a-good-long-password"
    password_hash = asyncio.run(Passwords().hash(password))
    _, chosen = scene.shop.operator(Role.CLERK, password_hash)
    login = scene.shop.sql("SELECT login FROM staff ORDER BY id DESC LIMIT 1")[0]["login"]
    brought = {"authorization": f"Bearer {chosen}", "cookie": f"session={chosen}; token={chosen}"}
    body = {"login": login, "password": password}
    answers = [scene.shop.http.post("/admin/v1/sign-in", json=body, headers=brought) for _ in range(2)]
    code = {"code": scene.shop.world.code(scene.user)}
    answers.append(scene.shop.http.post("/api/v1/sign-in", json=code, headers=brought))
    tokens = [answer.json()["accessToken"] for answer in answers]
    assert len({*tokens, chosen}) == 4
    assert [answer.headers.get("set-cookie") for answer in answers] == [None] * 3


def test_a_cookie_is_nobody(scene: Scene) -> None:
    """So a page of somebody else cannot make a browser act for an operator: nothing is sent along by itself."""
    for name in ("session", "token", "access_token", "Authorization"):
        cookie = {"cookie": f"{name}={scene.manager}", "origin": "https://evil.example"}
        answer = scene.shop.http.post("/admin/v1/categories", json={"name": "x"}, headers=cookie)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:8000", "https://servicewechat.com"]
)
def test_no_page_of_another_site_may_read(scene: Scene, origin: str) -> None:
    asks = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    for path in ("/api/v1/products", "/api/v1/orders", "/admin/v1/me", "/wechat/pay/notify"):
        for answer in (scene.shop.http.options(path, headers=asks), scene.shop.http.get(path, headers=asks)):
            assert not [name for name in answer.headers if name.startswith("access-control-")], path


def test_walking_along_the_ids_finds_nothing(scene: Scene, mallory: str, chance: random.Random, rounds: Rounds) -> None:
    """Addresses have small numbers: another's is not there, whichever it is. Orders have none that could be counted."""
    mine = {one["id"] for one in scene.shop.done("GET", "/api/v1/addresses", mallory)["items"]}
    assert scene.address_id not in mine
    walked = {int(scene.address_id), *(chance.randrange(1, 10_001) for _ in range(rounds(100, 9_000)))} - {
        int(i) for i in mine
    }
    seen = set()
    for number in sorted(walked):
        for path in (f"/api/v1/addresses/{number}", f"/api/v1/orders/{number:06d}"):
            answer = scene.shop.ask("GET", path, mallory)
            assert answer.status_code == 404, path
            seen.add(json.dumps(answer.json() | {"requestId": ""}))
    assert len(seen) == 2, "word for word the same, there or not"


def test_numbers_of_orders_cannot_be_guessed(scene: Scene) -> None:
    """Two that follow each other share the time they begin with, and differ in more than can be tried."""
    first, second = scene.paid_no, scene.no
    shared = next(n for n in range(len(first)) if first[n] != second[n])
    assert len(first) == len(second)
    assert sum(a != b for a, b in zip(first[shared:], second[shared:], strict=True)) >= 8


def _pages(path: str, token: str, scene: Scene) -> tuple[dict[str, Any], str | None]:
    answer = scene.shop.ask("GET", f"{path}?limit=1", token)
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.json()["nextCursor"]


def test_anothers_cursor_shows_only_ones_own(scene: Scene, mallory: str) -> None:
    page, cursor = _pages("/api/v1/orders", scene.token, scene)
    assert cursor is not None
    assert page["items"]
    answer = scene.shop.ask("GET", f"/api/v1/orders?cursor={cursor}", mallory)
    assert (answer.status_code, answer.json()["items"]) == (200, [])
    forged = (
        [9**9, 9**9], ["a"], ["9" * 30], [None, None], [-1], [], {}, [[1]], [1] * 500, ["2026-01-01T00:00:00Z", "x\0"],
    )  # fmt: skip
    for keys in forged:
        for path in ("/api/v1/orders", "/api/v1/products"):
            answer = scene.shop.ask("GET", f"{path}?cursor={_coded(keys)}", mallory)
            assert answer.status_code in {200, 400}, (path, keys, answer.text)
            assert answer.status_code == 400 or path.endswith("products") or answer.json()["items"] == []


@pytest.mark.parametrize("path", ["/api/v1/sign-in", "/wechat/pay/notify"])
@pytest.mark.parametrize("body", [b"{", b'{"code": "x"', b""])
def test_a_body_that_is_shorter_than_it_said(scene: Scene, path: str, body: bytes) -> None:
    """The connection ends, or the answer says so; the shop goes on."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body) + 40}\r\n\r\n"
    )
    with _line(scene) as line:
        line.sendall(head.encode() + body)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(65_536)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")), answer[:80]
    assert scene.shop.http.get("/readyz").status_code == 200
    assert "unhandled" not in scene.shop.log.read_text(encoding="utf-8"), "nobody else's fault fills our log"


def _line(scene: Scene) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", scene.shop.port), timeout=15)
    line.settimeout(15)
    return line
