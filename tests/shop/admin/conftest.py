"""A shop with a manager and a clerk, and passwords that cost little to check."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar
from unheard import Unheard

from kit.clock import ManualClock
from kit.database import Database
from shop.admin import staff
from shop.admin.passwords import Passwords
from shop.admin.roles import Role
from shop.app import create_app
from shop.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def app(settings: Settings, clock: ManualClock, passwords: Passwords) -> Litestar:
    return create_app(settings, clock=clock, passwords=passwords, news=Unheard())


@pytest.fixture
async def office(
    app: Litestar, db: Database, clock: ManualClock, passwords: Passwords
) -> AsyncIterator[httpx.AsyncClient]:
    """The admin API; `ann` is a manager, `ben` a clerk."""
    password_hash = await passwords.hash(PASSWORD)
    async with db.begin() as session:
        for login, role in (("ann", Role.MANAGER), ("ben", Role.CLERK)):
            await staff.add(
                session,
                login=login,
                name=login.title(),
                password_hash=password_hash,
                role=role,
                by="test",
                now=clock.now(),
            )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.0.0.1", 5000))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop/admin/v1") as client:
        yield client


class Operator:
    """One signed-in member of staff."""

    def __init__(self, office: httpx.AsyncClient, answer: dict[str, Any]) -> None:
        self._office = office
        self.id = answer["staff"]["id"]
        self.token = answer["accessToken"]

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._office.request(method, path, json=body, headers={"authorization": f"Bearer {self.token}"})


async def _sign_in(office: httpx.AsyncClient, login: str) -> Operator:
    return Operator(office, (await office.post("/sign-in", json={"login": login, "password": PASSWORD})).json())


@pytest.fixture
async def ann(office: httpx.AsyncClient) -> Operator:
    return await _sign_in(office, "ann")


@pytest.fixture
async def ben(office: httpx.AsyncClient) -> Operator:
    return await _sign_in(office, "ben")
