"""Reading the environment: mistakes are collected, not stopped at, and never name a secret."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kit.keys import private_key

PRIMARY: Final = ("primary", "read-write")
STANDBY: Final = ("any", "standby", "read-only")
"""What of several hosts may be asked for (`target_session_attrs`), by what the database is for."""


class BadSettings(SystemExit):
    """Some settings are missing, weak or contradict each other; each line says which and why."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("Cannot start:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes))
        self.mistakes = mistakes


class Reader:
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

    def maybe(self, name: str) -> str | None:
        """What need not be there."""
        return self.env.get(name, "").strip() or None

    def integer(self, name: str, default: int) -> int:
        value = self.text(name, default=str(default))
        if not value.isdecimal() or not 1 <= int(value) <= 65535:
            self.mistakes.append(f"{name} must be a port number from 1 to 65535, not {value!r}")
            return default
        return int(value)

    def seconds(self, name: str, default: int, most: int) -> int:
        value = self.text(name, default=str(default))
        if not value.isdecimal() or int(value) > most:
            self.mistakes.append(f"{name} must be whole seconds from 0 to {most}, not {value!r}")
            return default
        return int(value)

    def url(self, name: str, *, default: str | None = None, why: str = "", schemes: tuple[str, ...]) -> str:
        value = self.text(name, default=default, why=why)
        if value and (urlsplit(value).scheme not in schemes or not urlsplit(value).hostname):
            self.mistakes.append(f"{name} must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value.rstrip("/")

    def database(self, name: str, *, default: str | None = None, why: str = "", asks: tuple[str, ...] = PRIMARY) -> str:
        """The address of a database on one host, or on several of which one is what `asks` names."""
        value = self.text(name, default=default, why=why)
        if value:
            self.mistakes += [f"{name} {mistake}" for mistake in _database(value, asks)]
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


def _database(url: str, asks: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with the address of a database; its password is never repeated."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if parts.scheme not in ("postgresql", "postgres") or not any(hosts):
        yield "must be a URL that begins with postgresql:// or postgres://"
        return
    for host in hosts:
        try:
            alone = urlsplit(f"//{host}")
            whole = bool(alone.hostname) and alone.port != 0
        except ValueError:
            whole = False
        if not whole:
            yield f"names a host that is none, or a port that is none: {host!r}"
    wanted = parse_qs(parts.query).get("target_session_attrs", [])
    if len(hosts) > 1 and not wanted:
        yield f"names several hosts: say which one is meant, by ?target_session_attrs={asks[0]}"
    if wanted and wanted[-1] not in asks:
        yield f"has target_session_attrs={wanted[-1]!r}, which must be {' or '.join(asks)}"


def check_key(reader: Reader, name: str, pem: str) -> None:
    """Name what is wrong with a key that is there."""
    if not pem:
        return
    try:
        key = private_key(pem) if "PRIVATE KEY" in pem.splitlines()[0] else load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reader.mistakes.append(f"{name} is not a PEM key that can be read (without a password)")
        return
    if not isinstance(key, RSAPrivateKey | RSAPublicKey):
        reader.mistakes.append(f"{name} must be an RSA key")
    elif name.endswith("PRIVATE_KEY") and not isinstance(key, RSAPrivateKey):
        reader.mistakes.append(f"{name} holds a public key; the private one is needed")


def with_embedded(given: dict[str, str], data_dir: Path) -> dict[str, str]:
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
