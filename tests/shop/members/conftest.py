"""A shop whose WeChat knows who is meant by `login-alice` and `phone-alice`."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from unheard import Unheard

from kit.clock import ManualClock
from kit.database import Database
from shop.app import create_app
from shop.settings import Settings
from wechat.platform import Platform


class Known:
    """Codes are used up; users have an openid per Mini Program and, some, a unionid."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.unionids: dict[str, str] = {}
        self.refuse: int | None = None
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None
        """What happens in the shop while WeChat thinks, once."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.meanwhile:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        answer = {"errcode": self.refuse} if self.refuse else self._answer(request)
        return httpx.Response(200, content=json.dumps(answer).encode())

    def _answer(self, request: httpx.Request) -> dict[str, Any]:
        if request.url.path == "/cgi-bin/stable_token":
            return {"access_token": "88_token", "expires_in": 7200}
        if request.url.path == "/sns/jscode2session":
            kind, _, rest = request.url.params["js_code"].partition("-")
            user, appid = rest.partition(".")[0], request.url.params["appid"]
            if not self._first(request.url.params["js_code"]):
                return {"errcode": 40163}
            if kind != "login":
                return {"errcode": 40029}
            unionid = self.unionids.get(user)
            found = {"openid": f"o-{user}-{appid[-4:]}", "session_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
            return found | ({"unionid": unionid} if unionid else {})
        body = json.loads(request.content)
        kind, _, user = body["code"].partition("-")
        if kind != "phone" or not self._first(body["code"]) or not body["openid"].startswith(f"o-{user}-"):
            return {"errcode": 40029}
        info = {"purePhoneNumber": "13800000000", "countryCode": "86", "watermark": {"appid": "wx0000000000000001"}}
        return {"errcode": 0, "phone_info": info}

    def _first(self, code: str) -> bool:
        fresh = code not in self.used
        self.used.add(code)
        return fresh


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
async def shop(settings: Settings, clock: ManualClock, db: Database, known: Known) -> AsyncIterator[httpx.AsyncClient]:
    wechat = httpx.AsyncClient(base_url="https://api.weixin.qq.com", transport=httpx.MockTransport(known))
    platform = Platform(
        wechat, db, clock, app_id=settings.wechat.app_id, app_secret=settings.wechat.app_secret, pause_s=0.001
    )
    app = create_app(settings, clock=clock, platform=platform, news=Unheard())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop/api/v1") as client:
        yield client


class Guest:
    """One signed-in member."""

    def __init__(self, shop: httpx.AsyncClient, answer: dict[str, Any]) -> None:
        self._shop = shop
        self.id = answer["member"]["id"]
        self.token = answer["accessToken"]

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return await self._shop.request(method, path, json=body, headers=headers)


@pytest.fixture
async def alice(shop: httpx.AsyncClient) -> Guest:
    return Guest(shop, (await shop.post("/sign-in", json={"code": "login-alice"})).json())


@pytest.fixture
async def bob(shop: httpx.AsyncClient) -> Guest:
    return Guest(shop, (await shop.post("/sign-in", json={"code": "login-bob"})).json())
