"""Settings: the environment, read once. Every mistake is named at start, all at once.

Only `shop.__main__` and `shop.app` read them; values are passed down. Nothing secret has a default: in `dev` what is
missing comes from the embedded database and the simulated WeChat, which make their keys at first start into the data
folder; in `production` every missing or weak value is a refusal.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shop.settings import limits, pay
from shop.settings.limits import LimitSettings
from shop.settings.pay import KEY_MODES, PaySettings
from shop.settings.reading import STANDBY, BadSettings, Reader, with_embedded

__all__ = [
    "KEY_MODES",
    "LOOPBACK",
    "BadSettings",
    "LimitSettings",
    "PaySettings",
    "Settings",
    "WeChatSettings",
    "placeholder",
    "read",
]

_SANDBOX_KEY_ID = re.compile(r"^PUB_KEY_ID_0{8}")
_UNSET = "postgresql://unset"  # never used: that DATABASE_URL is missing has been said
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104  (compared, never bound)


@dataclass(frozen=True, kw_only=True)
class WeChatSettings:
    """The Mini Program's account on `api.weixin.qq.com`."""

    url: str
    app_id: str
    app_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    env: str
    data_dir: Path
    host: str
    port: int
    public_url: str
    database_url: str = field(repr=False)
    database_owner_url: str = field(repr=False)
    database_direct_url: str = field(repr=False)
    database_pooler: str | None
    database_replica_url: str | None = field(repr=False, default=None)
    """A standby, for reads that may be a little old."""
    wechat: WeChatSettings
    pay: PaySettings
    trusted_proxies: str = ""
    """Networks of our own proxies: whose `X-Forwarded-For` counts."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    drain_s: int = 0
    """How long a server that was told to end goes on answering while its proxy notices."""

    @property
    def production(self) -> bool:
        return self.env == "production"


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises `BadSettings` naming every mistake at once."""
    given = dict(os.environ if environment is None else environment)
    env = given.get("SHOP_ENV", "dev").strip() or "dev"
    data_dir = Path(given.get("SHOP_DATA_DIR", "").strip() or ".data").absolute()
    if env == "dev":
        given = with_embedded(given, data_dir)
    reader = Reader(given)
    if env not in ("dev", "production"):
        reader.mistakes.append(f"SHOP_ENV must be dev or production, not {env!r}")
    settings = _settings(reader, env, data_dir)
    if env == "production":
        _refuse_weak(reader, settings)
    if reader.mistakes:
        raise BadSettings(reader.mistakes)
    return settings


def _settings(reader: Reader, env: str, data_dir: Path) -> Settings:
    port = reader.integer("SHOP_PORT", 8000)
    dev = env == "dev"
    hint = "start everything with `make run`, or set it" if dev else ""
    database_url = reader.database("DATABASE_URL", why=hint)
    direct_url = reader.maybe("DATABASE_DIRECT_URL")
    pooler = reader.text("DATABASE_POOLER", default="none")
    if pooler not in ("none", "transaction"):
        reader.mistakes.append(f"DATABASE_POOLER must be transaction or none, not {pooler!r}")
    if pooler == "transaction" and direct_url is None:
        reader.mistakes.append(
            "DATABASE_DIRECT_URL is missing: news and jobs need a way past the pooler, which forgets who LISTENs"
        )
    return Settings(
        env=env,
        data_dir=data_dir,
        host=reader.text("SHOP_HOST", default="127.0.0.1" if dev else "0.0.0.0"),  # noqa: S104  (a container's inside)
        port=port,
        public_url=reader.url(
            "SHOP_PUBLIC_URL",
            default=f"http://127.0.0.1:{port}" if dev else None,
            why="WeChat must reach us",
            schemes=("http", "https"),
        ),
        database_url=database_url,
        # Migrations and `doctor` go past the pooler too.
        database_owner_url=reader.database("DATABASE_OWNER_URL", default=direct_url or database_url or _UNSET),
        database_direct_url=reader.database("DATABASE_DIRECT_URL", default=database_url or _UNSET),
        database_replica_url=(
            reader.database("DATABASE_REPLICA_URL", asks=STANDBY) if reader.maybe("DATABASE_REPLICA_URL") else None
        ),
        database_pooler=None if pooler == "none" else pooler,
        wechat=(wechat := _wechat(reader)),
        pay=pay.read(reader, wechat.app_id),
        trusted_proxies=reader.text("SHOP_TRUSTED_PROXIES", default=""),
        limits=limits.read(reader, dev=dev),
        drain_s=reader.seconds("SHOP_DRAIN_S", default=0 if dev else 5, most=300),
    )


def _wechat(reader: Reader) -> WeChatSettings:
    return WeChatSettings(
        url=reader.url("WECHAT_API_URL", default="https://api.weixin.qq.com", schemes=("http", "https")),
        app_id=reader.text("WECHAT_APP_ID", why="the Mini Program's appid"),
        app_secret=reader.text("WECHAT_APP_SECRET", why="the Mini Program's AppSecret"),
    )


def _refuse_weak(reader: Reader, settings: Settings) -> None:
    """What development may do and production must not."""
    for name, url in (
        ("WECHAT_API_URL", settings.wechat.url),
        ("WECHAT_PAY_URL", settings.pay.url),
        ("SHOP_PUBLIC_URL", settings.public_url),
    ):
        if url and urlsplit(url).scheme != "https":
            reader.mistakes.append(f"{name} must begin with https:// in production")
        if url and urlsplit(url).hostname in LOOPBACK:
            reader.mistakes.append(
                f"{name} points at this machine: that is the simulated WeChat or a development address"
            )
    if settings.pay.public_key_id and _SANDBOX_KEY_ID.match(settings.pay.public_key_id):
        reader.mistakes.append("WECHAT_PAY_PUBLIC_KEY_ID is the simulated WeChat's")
    if settings.wechat.app_secret and len(settings.wechat.app_secret) < 32:
        reader.mistakes.append("WECHAT_APP_SECRET is shorter than 32 characters")
    password = urlsplit(settings.database_url).password or ""
    if settings.database_url and len(password) < 12:
        reader.mistakes.append("DATABASE_URL has no password, or one shorter than 12 characters")


def placeholder() -> Settings:
    """Settings that reach nobody, with a key made for the occasion: to draw the OpenAPI document, and for tests."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    nowhere = "http://127.0.0.1:9"
    return Settings(
        env="dev",
        data_dir=Path(".data").absolute(),
        host="127.0.0.1",
        port=8000,
        public_url="http://127.0.0.1:8000",
        database_url="postgresql://nobody@127.0.0.1:9/none",
        database_owner_url="postgresql://nobody@127.0.0.1:9/none",
        database_direct_url="postgresql://nobody@127.0.0.1:9/none",
        database_pooler=None,
        wechat=WeChatSettings(url=nowhere, app_id="wx0000000000000001", app_secret="0" * 32),
        pay=PaySettings(
            url=nowhere,
            mch_id="1900000001",
            cert_serial="0" * 40,
            private_key=private,
            apiv3_key="0" * 32,
            public_key=public,
            public_key_id="PUB_KEY_ID_0000000000000001",
            key_mode="public_key",
            app_id="wx0000000000000001",
        ),
    )
