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
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

KEY_MODES: Final = ("public_key", "certificate", "both")
_SANDBOX_KEY_ID = re.compile(r"^PUB_KEY_ID_0{8}")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104  (compared, never bound)


class BadSettings(SystemExit):
    """Some settings are missing, weak or contradict each other; each line says which and why."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("Cannot start:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, kw_only=True)
class WeChatSettings:
    """The Mini Program's account on `api.weixin.qq.com`."""

    url: str
    app_id: str
    app_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PaySettings:
    """The merchant's account on WeChat Pay."""

    url: str
    mch_id: str
    cert_serial: str
    private_key: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    public_key: str | None = field(repr=False)
    public_key_id: str | None
    key_mode: str


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
    wechat: WeChatSettings
    pay: PaySettings

    @property
    def production(self) -> bool:
        return self.env == "production"


class _Reader:
    """Collects mistakes instead of stopping at the first."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.env = environment
        self.mistakes: list[str] = []

    def text(self, name: str, *, default: str | None = None, why: str = "") -> str:
        value = self.env.get(name, "").strip() or default
        if value is None:
            self.mistakes.append(f"{name} is missing" + (f": {why}" if why else ""))
            return ""
        return value

    def integer(self, name: str, default: int) -> int:
        value = self.text(name, default=str(default))
        if not value.isdecimal() or not 1 <= int(value) <= 65535:
            self.mistakes.append(f"{name} must be a port number from 1 to 65535, not {value!r}")
            return default
        return int(value)

    def url(self, name: str, *, default: str | None = None, why: str = "", schemes: tuple[str, ...]) -> str:
        value = self.text(name, default=default, why=why)
        if value and (urlsplit(value).scheme not in schemes or not urlsplit(value).hostname):
            self.mistakes.append(f"{name} must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value.rstrip("/")

    def pem(self, name: str, *, why: str = "") -> str:
        """A PEM, or the path of a file that holds one."""
        value = self.text(name, why=why)
        if not value or "-----BEGIN" in value:
            return value.replace("\\n", "\n").replace("\r\n", "\n")
        try:
            return Path(value).read_text(encoding="ascii").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError) as error:
            self.mistakes.append(f"{name} is neither a PEM nor a readable file: {type(error).__name__}")
            return ""


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises `BadSettings` naming every mistake at once."""
    given = dict(os.environ if environment is None else environment)
    env = given.get("SHOP_ENV", "dev").strip() or "dev"
    data_dir = Path(given.get("SHOP_DATA_DIR", "").strip() or ".data").absolute()
    if env == "dev":
        given = _with_embedded(given, data_dir)
    reader = _Reader(given)
    if env not in ("dev", "production"):
        reader.mistakes.append(f"SHOP_ENV must be dev or production, not {env!r}")
    settings = _settings(reader, env, data_dir)
    if env == "production":
        _refuse_weak(reader, settings)
    if reader.mistakes:
        raise BadSettings(reader.mistakes)
    return settings


def _settings(reader: _Reader, env: str, data_dir: Path) -> Settings:
    port = reader.integer("SHOP_PORT", 8000)
    dev = env == "dev"
    hint = "start everything with `make run`, or set it" if dev else ""
    database_url = reader.url("DATABASE_URL", why=hint, schemes=("postgresql", "postgres"))
    pooler = reader.text("DATABASE_POOLER", default="none")
    if pooler not in ("none", "transaction"):
        reader.mistakes.append(f"DATABASE_POOLER must be transaction or none, not {pooler!r}")
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
        database_owner_url=reader.url(
            "DATABASE_OWNER_URL", default=database_url or "postgresql://unset", schemes=("postgresql", "postgres")
        ),
        database_direct_url=reader.url(
            "DATABASE_DIRECT_URL", default=database_url or "postgresql://unset", schemes=("postgresql", "postgres")
        ),
        database_pooler=None if pooler == "none" else pooler,
        wechat=_wechat(reader),
        pay=_pay(reader),
    )


def _wechat(reader: _Reader) -> WeChatSettings:
    return WeChatSettings(
        url=reader.url("WECHAT_API_URL", default="https://api.weixin.qq.com", schemes=("http", "https")),
        app_id=reader.text("WECHAT_APP_ID", why="the Mini Program's appid"),
        app_secret=reader.text("WECHAT_APP_SECRET", why="the Mini Program's AppSecret"),
    )


def _pay(reader: _Reader) -> PaySettings:
    mode = reader.text("WECHAT_PAY_KEY_MODE", default="public_key")
    if mode not in KEY_MODES:
        reader.mistakes.append(f"WECHAT_PAY_KEY_MODE must be one of {', '.join(KEY_MODES)}, not {mode!r}")
    public_key = public_key_id = None
    if mode != "certificate":
        public_key = reader.pem("WECHAT_PAY_PUBLIC_KEY", why="WeChat Pay's public key, to verify what it says")
        public_key_id = reader.text("WECHAT_PAY_PUBLIC_KEY_ID", why="PUB_KEY_ID_…")
        _check_key(reader, "WECHAT_PAY_PUBLIC_KEY", public_key)
    private_key = reader.pem("WECHAT_PAY_PRIVATE_KEY", why="the merchant's apiclient_key.pem")
    _check_key(reader, "WECHAT_PAY_PRIVATE_KEY", private_key)
    apiv3_key = reader.text("WECHAT_PAY_APIV3_KEY", why="32 characters from the merchant platform")
    if apiv3_key and len(apiv3_key.encode()) != 32:
        reader.mistakes.append(f"WECHAT_PAY_APIV3_KEY must be 32 bytes, not {len(apiv3_key.encode())}")
    return PaySettings(
        url=reader.url("WECHAT_PAY_URL", default="https://api.mch.weixin.qq.com", schemes=("http", "https")),
        mch_id=reader.text("WECHAT_PAY_MCH_ID", why="the merchant number"),
        cert_serial=reader.text("WECHAT_PAY_CERT_SERIAL", why="serial of the merchant's API certificate"),
        private_key=private_key,
        apiv3_key=apiv3_key,
        public_key=public_key,
        public_key_id=public_key_id,
        key_mode=mode,
    )


def _check_key(reader: _Reader, name: str, pem: str) -> None:
    if not pem:
        return
    try:
        key = (
            load_pem_private_key(pem.encode(), None)
            if "PRIVATE KEY" in pem.splitlines()[0]
            else load_pem_public_key(pem.encode())
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reader.mistakes.append(f"{name} is not a PEM key that can be read (without a password)")
        return
    if not isinstance(key, RSAPrivateKey | RSAPublicKey):
        reader.mistakes.append(f"{name} must be an RSA key")
    elif name.endswith("PRIVATE_KEY") and not isinstance(key, RSAPrivateKey):
        reader.mistakes.append(f"{name} holds a public key; the private one is needed")


def _with_embedded(given: dict[str, str], data_dir: Path) -> dict[str, str]:
    """Fill what dev lacks from the files of the embedded database and the simulated WeChat, each upstream by itself."""
    database = _env_file(data_dir / "database.env")
    world = _env_file(data_dir / "sandbox" / "merchant.env")
    found: dict[str, str] = {}
    if "DATABASE_URL" not in given:
        found |= database
    pay = {k: v for k, v in world.items() if k.startswith("WECHAT_PAY_")}
    platform = {k: v for k, v in world.items() if not k.startswith("WECHAT_PAY_")}
    if "WECHAT_PAY_URL" not in given:
        found |= pay
    if "WECHAT_API_URL" not in given:
        found |= platform
    return found | given


def _env_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _refuse_weak(reader: _Reader, settings: Settings) -> None:
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
        ),
    )
