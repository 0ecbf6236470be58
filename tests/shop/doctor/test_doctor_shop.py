"""What the doctor says of the database, the worker and what waits; and the command as a person runs it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from started import Started
from visits import but, examined
from world import ROOT, World

from shop.doctor import keys, setup
from shop.settings import Settings, read


@contextmanager
def _worker(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "shop", "work"], cwd=ROOT, env=_whole(environment), stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _whole(environment: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHOP_", "WECHAT_", "DATABASE_"))}
    return {**kept, **environment}


def _run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "shop", "doctor", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_whole(environment), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def _eventually_healthy(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """A worker that has just begun is seen within seconds."""
    until = time.monotonic() + 20
    while True:
        code, out = _run(environment, *arguments)
        if code == 0 or time.monotonic() > until:
            return code, out


def test_a_healthy_shop(environment: dict[str, str], right: Settings) -> None:
    with _worker(environment):
        code, out = _eventually_healthy(environment)
        assert code == 0, out
        assert out.splitlines()[-1].endswith("0 wrong.")
        assert "✓ worker: it lives" in out
        code, as_json = _run(environment, "--json")
    report = json.loads(as_json)
    assert (code, report["healthy"]) == (0, True)
    assert {finding["verdict"] for finding in report["findings"]} <= {"ok", "warning"}
    password = right.database_url.split(":")[2].split("@")[0]
    middle = right.pay.private_key.splitlines()[5]
    for secret in (right.pay.apiv3_key, right.wechat.app_secret, password, middle):
        assert secret not in out + as_json


def test_no_worker_and_bad_settings(environment: dict[str, str]) -> None:
    code, out = _run(environment)
    assert code == 1
    assert "✗ worker: no worker is connected" in out
    assert "→ Start one: `python -m shop work`" in out
    code, out = _run({**environment, "WECHAT_PAY_APIV3_KEY": "short", "WECHAT_PAY_MCH_ID": ""})
    assert code == 1
    assert "✗ settings: WECHAT_PAY_APIV3_KEY must be 32 bytes, not 5" in out
    assert "✗ settings: WECHAT_PAY_MCH_ID is missing" in out
    code, out = _run({**environment, "SHOP_ENV": "production"}, "--json")
    assert code == 1
    assert any("https" in finding["seen"] for finding in json.loads(out)["findings"])


async def test_the_database_is_away_or_shut(right: Settings, started: Started) -> None:
    nowhere = "postgresql://shop_app:a-secret-word@127.0.0.1:9/shop"
    found = await examined(but(right, database_direct_url=nowhere))
    assert "no connection" in found.bad()["database"]
    assert "without the database" in found.warned()["notices"]
    assert "a-secret-word" not in str(found.findings)
    wrong_word = right.database_url.replace(right.database_url.split(":")[2].split("@")[0], "a-wrong-word")
    assert "password" in (await examined(but(right, database_direct_url=wrong_word))).bad()["database"]
    nothing = right.database_url.rsplit("/", 1)[0] + "/nothing"
    assert "no such database" in (await examined(but(right, database_direct_url=nothing))).bad()["database"]


async def test_a_database_without_our_tables(right: Settings, started: Started) -> None:
    empty = right.database_url.rsplit("/", 1)[0] + "/postgres"
    found = await examined(but(right, database_direct_url=empty), wait_s=1)
    assert "python -m shop migrate" in found.bad()["schema"]


async def test_a_role_that_may_too_much(right: Settings, started: Started) -> None:
    owner = started.cluster.owner_url()
    bad = (await examined(but(right, database_direct_url=owner))).bad()
    assert "may alter the schema" in bad["database role"]
    assert "posting" in bad["append-only tables"]
    mighty = started.cluster.superuser_url("shop")
    assert "superuser" in (await examined(but(right, database_direct_url=mighty))).bad()["database role"]
    same = await examined(but(right, database_owner_url=right.database_url))
    assert "owns the schema" in same.warned()["addresses"]


_KEPT = (
    "INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at)"
    " VALUES ('1', 'X', 'x', '{}', now() - interval '1 hour', now() - interval '20 minutes')"
)
_TROUBLE = [
    ("UPDATE alembic_version SET version_num = '0001'", "schema", "at revision 0001"),
    ("ALTER TABLE posting DISABLE TRIGGER append_only", "append-only tables", "nothing refuses changes of posting"),
    ("GRANT DELETE ON audit_entry TO shop_app", "append-only tables", "may change audit_entry"),
    ("ALTER ROLE shop_app SET default_transaction_read_only = on", "database", "takes no writes"),
    (
        "INSERT INTO pgqueuer (priority, entrypoint, status) VALUES (0, 'x', 'failed')",
        "failed jobs",
        "1 were tried in vain",
    ),
    (
        "INSERT INTO payment_exception (kind, reference, facts, created_at) VALUES ('wrong_account', '1', '{}', now())",
        "alarms",
        "1 × wrong_account",
    ),
    (
        _KEPT,
        "notices kept",
        "1 not handled",
    ),
    (
        _KEPT,
        "deadlines",
        "passed 120",
    ),
]
_MENDS = (
    "UPDATE alembic_version SET version_num = '{head}'",
    "ALTER TABLE posting ENABLE TRIGGER append_only",
    "REVOKE DELETE ON audit_entry FROM shop_app",
    "ALTER ROLE shop_app RESET default_transaction_read_only",
    "DELETE FROM pgqueuer",
    "TRUNCATE payment_exception, notice",
)


@pytest.fixture
def mended(started: Started) -> Iterator[None]:
    head = started.sql("SELECT version_num FROM alembic_version")[0]["version_num"]
    yield
    for statement in _MENDS:
        _mighty(started, statement.format(head=head))


def _mighty(started: Started, statement: str) -> None:
    """By the superuser: only that one may change roles."""

    async def run() -> None:
        connection = await asyncpg.connect(started.cluster.superuser_url("shop"))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize(("breaks", "about", "said"), _TROUBLE)
def test_what_is_wrong_inside(right: Settings, started: Started, breaks: str, about: str, said: str) -> None:
    _mighty(started, breaks)
    found = asyncio.run(examined(right))
    assert said in found.bad()[about]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"public_url": "http://shop.example.com", "pay_url": "https://api.mch.weixin.qq.com"}, "https://"),
        ({"public_url": "https://127.0.0.1", "pay_url": "https://api.mch.weixin.qq.com"}, "cannot reach 127.0.0.1"),
        ({"public_url": "https://shop.example.com?a=b"}, "query"),
        ({"public_url": "https://shop.example.com/" + "x" * 255}, "longer than 255 bytes"),
        ({"mch_id": "wx0000000000000000"}, "no merchant number"),
        ({"app_id": "1900000001"}, "no appid"),
        ({"cert_serial": "PUB_KEY_ID_0119000000012026"}, "id of WeChat's public key"),
        ({"cert_serial": "6b1f0d2c4a8e93757a5d10c2e4f6b8a9d3c5e701"}, "upper-case hex"),
        ({"public_key_id": "0119000000012026"}, "PUB_KEY_ID_ and digits"),
    ],
)
def test_settings_that_contradict_each_other(right: Settings, changed: dict[str, Any], said: str) -> None:
    found = setup.look(but(right, **changed), {})
    assert any(said in finding.seen + finding.todo and finding.verdict == "wrong" for finding in found), found


def test_settings_that_are_mixed_up(right: Settings) -> None:
    same = but(right, apiv3_key="a" * 32, app_secret="a" * 32)
    assert any("are the same" in finding.seen for finding in setup.look(same, {}))
    ours = but(right, public_key=_public_half(right.pay.private_key))
    assert any("other half of your own" in finding.seen for finding in setup.look(ours, {}))
    leftover = but(right, key_mode="certificate", public_key=None, public_key_id=None)
    found = setup.look(leftover, {"WECHAT_PAY_PUBLIC_KEY_ID": "PUB_KEY_ID_1"})
    assert any("ignores it" in finding.seen for finding in found)
    half = but(right, pay_url="https://api.mch.weixin.qq.com", public_url="https://shop.example.com")
    assert any("the platform is simulated" in finding.seen for finding in setup.look(half, {}))
    assert {finding.verdict for finding in setup.look(right, {})} == {"ok"}


def _public_half(private: str) -> str:
    key = load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(("days", "verdict"), [(-1, "wrong"), (30, "warning"), (400, "ok")])
def test_how_long_a_certificate_lasts(days: int, verdict: str) -> None:
    key, now = generate_private_key(public_exponent=65537, key_size=2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tenpay.com sign")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7 << 150)
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .sign(key, SHA256())
    )
    finding = keys._expiry(certificate)
    assert (finding.verdict, str(days) in finding.seen) == (verdict, True)


@pytest.mark.parametrize("mode", ["certificate", "both"])
async def test_an_older_merchant(right: Settings, tmp_path: Path, mode: str) -> None:
    """Platform certificates are listed and opened; a wrong APIv3 key is seen at once, and nothing is asked of the shop."""
    world = World(tmp_path / "sandbox", "--key-mode", mode)
    try:
        given = {**world.env, "DATABASE_URL": right.database_url, "SHOP_DATA_DIR": str(tmp_path)}
        older = read({**given, "SHOP_PUBLIC_URL": right.public_url, "DATABASE_OWNER_URL": right.database_owner_url})
        found = await examined(older, wait_s=0.5)
        assert {"signing", "platform certificates", "APIv3 key"} <= found.good()
        assert sum(about.startswith("key ") and about != "key settings" for about in found.good()) == 1 + (
            mode == "both"
        )
        bad = (await examined(but(older, apiv3_key="x" * 32), wait_s=0.5)).bad()
        assert "platform certificates do not open" in bad["APIv3 key"]
        if mode == "both":
            half = but(older, key_mode="public_key")
            assert "WECHAT_PAY_KEY_MODE=both" in (await examined(half, wait_s=0.5)).warned()["platform certificates"]
    finally:
        world.stop()


@pytest.mark.parametrize(
    ("arguments", "unmatched"),
    [(("--partner",), "the sub-merchant's account is not"), (("--region", "global", "--currency", "HKD"), "no bill")],
)
async def test_a_partner_and_a_merchant_abroad(
    right: Settings, tmp_path: Path, arguments: tuple[str, ...], unmatched: str
) -> None:
    """The same questions under the names and paths of that kind of merchant, and which of its bills nobody matches."""
    world = World(tmp_path / "sandbox", *arguments)
    try:
        given = {**world.env, "DATABASE_URL": right.database_url, "SHOP_DATA_DIR": str(tmp_path)}
        other = read({**given, "SHOP_PUBLIC_URL": right.public_url, "DATABASE_OWNER_URL": right.database_owner_url})
        found = await examined(other, wait_s=0.5)
        assert {"signing", "payments", "names", "key settings", "clock"} <= found.good(), found.findings
        assert unmatched in found.warned()["bills"]
    finally:
        world.stop()
