"""The house keeps its own rules (`rules`), and each rule bites."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from rules import RULES, unasked_owner

from shop.app import create_app
from shop.settings import placeholder

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "catalog", "payments", "wechat", "shop", "migrations")
PUBLIC = {"/api/v1/products/{product_id}"}
"""What is the same for everybody has no owner."""

_OURS = "names of our own tables and columns, none of them from outside; values are parameters"
# rule → (file, how the finding begins) → why it may
ALLOWED: dict[str, dict[tuple[str, str], str]] = {
    "composed_sql": {
        ("kit/pooled.py", "locally writes"): "the limits of every connection, constants of kit.database",
        (
            "catalog/listing.py",
            "_statement writes",
        ): "built once for each of a few sorts and filters, which are constants",
        ("catalog/staff_views.py", "_list writes"): "conditions of a table of constants, chosen by name",
        ("shop/orders/admin_reading.py", "_search writes"): "the same, and one of the states of an order",
        ("payments/reconciliation/matching.py", "_remember writes query"): "one of the module's own queries",
        ("shop/partitioning/conversion.py", ""): "a command line of the owner's: " + _OURS,
        ("shop/partitioning/swap.py", ""): "a command line of the owner's: " + _OURS,
        ("shop/privacy/erasure.py", "_statement writes"): "the registry of personal columns: " + _OURS,
        ("shop/privacy/export.py", "_rows writes"): "the registry of personal columns: " + _OURS,
        ("shop/schema.py", "_grant writes"): "the role's name, quoted by SQLAlchemy",
        ("migrations/versions/0008_refunds.py", "_refuse_at_commit writes"): "called with constants only",
        ("migrations/versions/0009_reconciliation.py", "upgrade writes table"): "over a tuple of constants",
        ("migrations/versions/0012_news.py", "upgrade writes"): "over a tuple of constants",
    },
    "compared_secrets": {
        ("payments/reconciliation/download.py", "compares said.lower()"): "a checksum that WeChat has told, no secret",
        (
            "payments/wechatpay/connection.py",
            "compares sha1.hexdigest()",
        ): "a checksum under WeChat's signature, no secret",
        ("shop/admin/entry.py", "compares still.password_hash"): "two hashes of our own: has it changed meanwhile?",
        ("shop/doctor/setup.py", "compares settings.wechat.app_secret"): "two settings of our own: are they the same?",
        ("wechat/tokens.py", "compares token == refused"): "two tokens that WeChat gave us",
        ("wechat/tokens.py", "compares row.token != refused"): "two tokens that WeChat gave us",
    },
    "swallowed_errors": {("kit/news.py", "suppresses"): "a connection that is given up may fail at that too"},
    "guessable_chance": {("wechat/wire.py", "imports random"): "how long to wait before the next try"},
}

PLANTED = [
    ("composed_sql", 'def f(s, name):\n    s.execute(f"SELECT 1 FROM t WHERE name = {name}")'),
    ("composed_sql", "def f(s, name):\n    s.execute(\"DELETE FROM t WHERE name = '%s'\" % name)"),
    ("composed_sql", 'def f(s, sort):\n    s.execute("SELECT 1 FROM t ORDER BY " + sort)'),
    ("composed_sql", 'def f(s, ask):\n    s.execute("SELECT 1 FROM t WHERE {0}".format(ask.where))'),
    ("composed_sql", "_READ = 'SELECT {0}'\ndef f(s, what):\n    s.execute(_READ.format(what))"),
    ("compared_secrets", "def f(headers, signature):\n    return headers['x'] == signature"),
    ("compared_secrets", "def f(given, hmac):\n    return given != hmac.hexdigest()"),
    ("compared_secrets", "def f(ask, known):\n    return ask.token.strip() == known.value"),
    (
        "world_inside_transaction",
        "async def f(db, gateway):\n    async with db.begin():\n        await gateway.close('1')",
    ),
    (
        "world_inside_transaction",
        "async def f(self):\n    async with self._db.bare():\n        await self._http.get('/')",
    ),
    ("world_inside_transaction", "async def f(db):\n    async with db.begin():\n        await asking.close(db, 1)"),
    ("swallowed_errors", "try:\n    go()\nexcept Exception:\n    pass"),
    ("swallowed_errors", "for x in y:\n    try:\n        go()\n    except:\n        continue"),
    ("swallowed_errors", "with suppress(Exception):\n    go()"),
    ("guessable_chance", "import random"),
    ("guessable_chance", "from random import choice"),
    ("logged_bodies", "log.info('in', body=request.body)"),
    ("logged_bodies", "log.debug(letter.raw.decode())"),
    ("logged_bodies", "log.warning('odd', given=request.headers)"),
]

INNOCENT = [
    ("composed_sql", "def f(s):\n    s.execute(f'SELECT {_LINES} FROM t WHERE state = {OrderState.PAID}')"),
    ("composed_sql", "_READ = f'SELECT {columns} FROM t'"),
    ("compared_secrets", "select(S).where(S.token_hash == _hash(token))"),
    ("compared_secrets", "def f(a, b):\n    return hmac.compare_digest(a.digest(), b)"),
    (
        "world_inside_transaction",
        "async def f(db, gateway):\n    async with db.begin():\n        pass\n    await gateway.close('1')",
    ),
    ("swallowed_errors", "try:\n    go()\nexcept ValueError:\n    pass"),
    ("logged_bodies", "log.info('in', bytes=len(request.body))"),
]


def _broken(rule: str, source: str) -> list[str]:
    return [what for _, what in RULES[rule](ast.parse(source))]


def _may(rule: str, path: str, what: str) -> tuple[str, str] | None:
    """The exception that covers it."""
    exceptions = ALLOWED.get(rule, {})
    return next(((file, start) for file, start in exceptions if file == path and what.startswith(start)), None)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_it(rule: str) -> None:
    wrong, used = [], set()
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        name = str(path.relative_to(ROOT))
        for line, what in RULES[rule](ast.parse(path.read_text("utf-8"))):
            exception = _may(rule, name, what)
            used.add(exception)
            if exception is None:
                wrong.append(f"{name}:{line} {what}")
    assert wrong == []
    unused = {(file, start) for file, start in ALLOWED.get(rule, {}) if (ROOT / file).exists()} - used
    assert unused == set(), "exceptions that nothing needs any more"


@pytest.mark.parametrize(("rule", "source"), PLANTED)
def test_it_bites(rule: str, source: str) -> None:
    assert _broken(rule, source)


@pytest.mark.parametrize(("rule", "source"), INNOCENT)
def test_it_bites_nobody_else(rule: str, source: str) -> None:
    assert _broken(rule, source) == []


def _member_routes() -> list[tuple[str, HTTPRouteHandler]]:
    """What takes an id under /api/v1, as it is served."""
    return [
        (route.path_format, handler)
        for route in create_app(placeholder()).routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/api/v1/") and "{" in route.path_format
        for handler in route.route_handlers
        if isinstance(handler, HTTPRouteHandler) and "OPTIONS" not in handler.http_methods
    ]


def test_every_route_with_an_id_asks_whose_it_is() -> None:
    routes = _member_routes()
    assert {path for path, _ in routes} > PUBLIC
    found = {}
    for path, handler in routes:
        function = ast.parse(textwrap.dedent(inspect.getsource(handler.fn)))
        if path not in PUBLIC and (broken := list(unasked_owner(function, set(re.findall(r"{(\w+)}", path))))):
            found[f"{path} {handler.fn.__name__}"] = broken
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "async def f(no, db, member):\n    return await orders.get(db, no)",
        "async def f(no, db, member):\n    return await orders.cancel(db, no, by=member.label)",
        "async def f(no, db, member):\n    log.info('asked', by=member.member_id)\n    return await orders.get(db, no)",
        "async def f(no, db, member):\n    by = member.label\n    return await orders.cancel(db, no, by)",
    ],
)
def test_that_bites_too(source: str) -> None:
    assert list(unasked_owner(ast.parse(source), {"no"}))


@pytest.mark.parametrize(
    "source",
    [
        "async def f(no, db, member):\n    return await orders.get(db, member.member_id, no)",
        "async def f(no, db, member):\n    return await paying.open(db, no, member)",
        "async def f(no, db, member):\n    by, whose = member.label, member.member_id\n    await orders.cancel(db, no, whose, by)",
        "async def f(no, member):\n    return await find(select(T).where(T.no == no, _mine(member)))",
    ],
)
def test_that_lets_the_others_be(source: str) -> None:
    assert list(unasked_owner(ast.parse(source), {"no"})) == []
