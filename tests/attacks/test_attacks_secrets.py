"""Keys and passwords: in no `repr`, no error with all its causes, no file of the project; and no start with weak ones."""

import dataclasses
import math
import re
import subprocess
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from world import ROOT

from kit.clock import ManualClock
from kit.database import Database
from kit.errors import Problem
from payments.wechatpay.answers import Refused, Unknown
from payments.wechatpay.keyring import CannotOpen, Keyring, Sealed
from shop import settings as settings_of
from shop.admin.models import Staff
from shop.app import database_of, gateway_of, platform_of
from shop.settings import BadSettings, Settings

pytestmark = pytest.mark.trial("R32")
APP_SECRET, APIV3_KEY, PASSWORD = "5ec2e7" * 5 + "ab", "V3kEy0" * 5 + "cd", "pa55-of-the-database"
MADE_UP = "Zk3vT9qLmX2cR8wY" + "p5hN7dJ4sF6gB1aQ"
OURS = ("kit.", "catalog.", "payments.", "wechat.", "shop.")


@pytest.fixture(scope="session")
def secretive(unconnected: Settings) -> Settings:
    """Settings with secrets that would be found."""
    return dataclasses.replace(
        unconnected,
        **dict.fromkeys(
            ("database_url", "database_owner_url", "database_direct_url", "database_replica_url"),
            f"postgresql://shop:{PASSWORD}@127.0.0.1:9/none",
        ),
        wechat=dataclasses.replace(unconnected.wechat, app_secret=APP_SECRET),
        pay=dataclasses.replace(unconnected.pay, apiv3_key=APIV3_KEY, apiv3_key_before=APIV3_KEY[::-1]),
    )


def _secrets_in(text: str, settings: Settings) -> list[str]:
    """Which of them stand in it; of the private key each line counts."""
    lines = [line for line in settings.pay.private_key.splitlines() if len(line) > 40 and "KEY" not in line]
    return [secret for secret in (APP_SECRET, APIV3_KEY, APIV3_KEY[::-1], PASSWORD, *lines) if secret in text]


def _within(thing: Any, seen: set[int], depth: int = 6) -> Iterator[Any]:
    """The thing and what of ours it holds."""
    if id(thing) in seen or depth == 0:
        return
    seen.add(id(thing))
    if type(thing).__module__.startswith(OURS):
        yield thing
        held = getattr(thing, "__dict__", None) or {
            name: getattr(thing, name, None) for name in getattr(thing, "__struct_fields__", ())
        }
        for value in held.values():
            yield from _within(value, seen, depth - 1)
    elif isinstance(thing, dict | list | tuple | set):
        for value in thing.values() if isinstance(thing, dict) else thing:
            yield from _within(value, seen, depth - 1)


async def test_no_object_shows_what_it_holds(secretive: Settings, clock: ManualClock) -> None:
    db = database_of(secretive)
    gateway, platform = gateway_of(secretive), platform_of(secretive, db, clock)
    things = [one for thing in (secretive, db, gateway, platform) for one in _within(thing, set())]
    names = {type(one).__name__ for one in things}
    assert {
        "Settings",
        "PaySettings",
        "WeChatSettings",
        "Gateway",
        "Connection",
        "Keyring",
        "Platform",
        "Tokens",
    } <= names
    for one in [*things, db.engine, db.engine.url, platform._client, gateway.connection._http]:
        assert _secrets_in(f"{one!r} {one!s}", secretive) == [], type(one)
    staff = Staff(login="ann", name="Ann", password_hash="$argon2id$canary")
    assert "canary" not in repr(staff)
    assert _secrets_in(str(dataclasses.replace(secretive, env="production")), secretive) == []
    for closing in (gateway.close_connections, platform.close, db.close):
        await closing()


def _told(error: BaseException) -> str:
    """All that a log could say of it: every cause, and what each says of itself."""
    texts = ["".join(traceback.format_exception(error))]
    chain: BaseException | None = error
    while chain is not None:
        texts += [repr(chain), str(chain), repr(chain.args), repr(getattr(chain, "facts", ""))]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(texts)


async def test_no_error_tells_a_secret_however_deep_its_cause(secretive: Settings, clock: ManualClock) -> None:
    db = database_of(secretive)
    gateway, platform = gateway_of(secretive), platform_of(secretive, db, clock)
    told = []
    for name, attempt in {
        "sign-in": lambda: platform.code_to_session("a-code"),
        "phone": lambda: platform.phone_number("a-code", openid="o" * 28),
        "pay": lambda: gateway.connection.call("POST", "/v3/pay/transactions/jsapi", {"appid": "wx"}),
        "keys": gateway.refresh_keys,
        "transaction": lambda: _begin(db),
        "bare": lambda: _bare(db),
    }.items():
        with pytest.raises((Problem, Unknown, Refused, OSError)) as refused:
            await attempt()
        told.append(name)
        assert _secrets_in(_told(refused.value), secretive) == [], name
    assert len(told) == 6
    for closing in (gateway.close_connections, platform.close, db.close):
        await closing()


async def _begin(db: Database) -> None:
    async with db.begin():
        raise AssertionError("nobody answers there")


async def _bare(db: Database) -> None:
    async with db.bare():
        raise AssertionError("nobody answers there")


def test_a_resource_that_does_not_open_tells_no_key(secretive: Settings) -> None:
    keyring = Keyring(APIV3_KEY)
    sealed = Sealed("AEAD_AES_256_GCM", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB", "n" * 12)
    with pytest.raises(CannotOpen) as refused:
        keyring.open(sealed)
    assert _secrets_in(_told(refused.value), secretive) == []


def test_a_refused_start_names_settings_and_no_values(secretive: Settings) -> None:
    """Every value is wrong; the sentence says which rule, and not what stood there."""
    given = {
        "SHOP_ENV": "production",
        "DATABASE_URL": f"mysql://shop:{PASSWORD}@db/shop",
        "DATABASE_OWNER_URL": f"postgresql://owner:{PASSWORD}@a,b/shop",
        "DATABASE_REPLICA_URL": f"postgresql://shop:{PASSWORD}@a:x/shop?target_session_attrs=nobody",
        "WECHAT_APP_ID": "wx1",
        "WECHAT_APP_SECRET": APP_SECRET[:31],
        "WECHAT_PAY_APIV3_KEY": APIV3_KEY + "x",
        "WECHAT_PAY_PRIVATE_KEY": secretive.pay.private_key[:400],
        "WECHAT_PAY_PUBLIC_KEY": secretive.pay.private_key.replace("\n", "\\n")[:900],
    }
    with pytest.raises(BadSettings) as refused:
        settings_of.read(given)
    told = _told(refused.value)
    assert len(refused.value.mistakes) > 8
    assert _secrets_in(told, secretive) == []
    assert APP_SECRET[:31] not in told
    assert PASSWORD not in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WECHAT_APP_SECRET", ""),
        ("WECHAT_APP_SECRET", "secret"),
        ("WECHAT_PAY_APIV3_KEY", ""),
        ("WECHAT_PAY_APIV3_KEY", "0" * 31),
        ("WECHAT_PAY_PRIVATE_KEY", ""),
        ("WECHAT_PAY_PUBLIC_KEY", ""),
        ("WECHAT_PAY_PUBLIC_KEY_ID", "PUB_KEY_ID_0000000000000001"),
        ("DATABASE_URL", "postgresql://postgres:postgres@db/shop"),
        ("DATABASE_URL", "postgresql://shop@db/shop"),
        ("DATABASE_URL", ""),
        ("WECHAT_API_URL", "http://127.0.0.1:8001"),
        ("WECHAT_PAY_URL", "https://localhost:8001"),
        ("SHOP_PUBLIC_URL", "http://shop.example.com"),
    ],
)
def test_production_does_not_start_with_a_weak_secret(unconnected: Settings, name: str, value: str) -> None:
    pay = unconnected.pay
    whole = {
        "SHOP_ENV": "production",
        "DATABASE_URL": "postgresql://shop:long-enough-password@db/shop",
        "SHOP_PUBLIC_URL": "https://shop.example.com",
        "WECHAT_APP_ID": "wx1234567890abcdef",
        "WECHAT_APP_SECRET": APP_SECRET,
        "WECHAT_PAY_MCH_ID": "1900000001",
        "WECHAT_PAY_CERT_SERIAL": "7" * 40,
        "WECHAT_PAY_PRIVATE_KEY": pay.private_key,
        "WECHAT_PAY_APIV3_KEY": APIV3_KEY,
        "WECHAT_PAY_PUBLIC_KEY": pay.public_key or "",
        "WECHAT_PAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000011112026010100111122003344",
    }
    assert settings_of.read(whole).production
    with pytest.raises(BadSettings) as refused:
        settings_of.read({**whole, name: value})
    assert any(mistake.startswith(name) for mistake in refused.value.mistakes)


def test_there_is_no_switch_for_debugging() -> None:
    """Neither of ours nor of Litestar: its page of an error shows code, local variables and headers."""
    found = [
        str(path.relative_to(ROOT))
        for path in _files()
        if path.suffix == ".py" and path.parts[len(ROOT.parts)] in ("kit", "catalog", "payments", "wechat", "shop")
        if re.search(r"debug\s*=\s*(?!False)|LITESTAR_DEBUG|pdb", path.read_text(encoding="utf-8"))
    ]
    assert found == []


KNOWN = {
    "0123456789abcdef0123456789abcdef": "counts up",
    "sandbox-apiv3-key-0123456789abcd": "says what it is",
    "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb": "published with the Java SDK's own tests",
}
"""What looks like a secret and is none."""
_NAMED = re.compile(
    r"""(?ix)(?:secret|apiv3_?key|api_?key|password|passwd|token|private_?key)["']?\s*[:=]\s*["']?([0-9a-zA-Z+/_-]{24,})"""
)
_SHAPES = re.compile(
    r"(AKIA[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{36}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|sk_live_[0-9a-zA-Z]{16,}"
    r"|(?:postgres(?:ql)?|mysql|redis)://[\w-]+:[^@\s{}$'\"<>]{12,}@(?!127\.0\.0\.1|localhost|db[:/]|a[:/])[\w.-]+\.[a-z]{2,})"
)
_PEM = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----.*?-----END (?:[A-Z]+ )?PRIVATE KEY-----", re.DOTALL)


def _files() -> list[Path]:
    """Everything that would be committed: what is packed or built into an image is a part of it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a repository")
    names = listed.stdout.decode().splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file() and not name.endswith((".lock", ".png", ".pdf"))]


def _bits(text: str) -> float:
    """Of a character, by how often each occurs."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _keys_in(text: str) -> list[str]:
    found = [match[0] for match in _SHAPES.finditer(text)]
    for match in _NAMED.finditer(text):
        has_both = re.search(r"\d", match[1]) and re.search(r"[a-zA-Z]", match[1])
        if has_both and _bits(match[1]) > 3.4 and match[1] not in KNOWN:
            found.append(match[1])
    for match in _PEM.finditer(text.replace("\\n", "\n")):
        try:
            load_pem_private_key(match[0].encode(), None)
        except (ValueError, TypeError):
            continue  # made up, to be found in logs
        found.append("a private key")
    return found


def test_no_file_holds_a_key_that_looks_real(unconnected: Settings) -> None:
    found = {
        str(path.relative_to(ROOT)): keys
        for path in _files()
        if (keys := _keys_in(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_the_scan_sees_what_it_is_for(unconnected: Settings) -> None:
    for planted in (
        f'private_key = """{unconnected.pay.private_key}"""',
        "WECHAT_PAY_PRIVATE_KEY=" + unconnected.pay.private_key.replace("\n", "\\n"),
        f'app_secret: "{MADE_UP.lower()}"',
        f"WECHAT_PAY_APIV3_KEY={MADE_UP}",
        f'"password": "{MADE_UP[:24]}"',
        "url = 'postgresql://shop:" + "correct-horse-battery@db.example.com/shop'",
        "AKIAIOSFODNN7" + "EXAMPLE",
    ):
        assert _keys_in(planted), planted[:40]
