"""What the environment asks of the launcher, and what it hands on to the shop's processes."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev import ports
from dev.trouble import Trouble

_PAY = "WECHAT_PAY_"
_OURS = ("DATABASE_", "SHOP_", "SANDBOX_", "WECHAT_")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything goes in this run. ``database_url`` is None for the embedded database."""

    data: Path
    shop_port: int
    sandbox_port: int
    database_url: str | None
    environment: Mapping[str, str]

    @property
    def api(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.shop_port}"

    @property
    def sandbox(self) -> str:
        """The simulated WeChat's address."""
        return f"http://127.0.0.1:{self.sandbox_port}"


def read(environment: Mapping[str, str]) -> Plan:
    """Return the plan. An empty variable counts as unset. Raises Trouble for what cannot be."""
    given = {name: value for name, value in environment.items() if value.strip() or not name.startswith(_OURS)}
    if given.get("SHOP_ENV", "dev") != "dev":
        raise Trouble("This starts a development shop with a simulated WeChat: unset SHOP_ENV, or see the Dockerfile.")
    data = Path(given.get("SHOP_DATA_DIR", ".data")).absolute()
    shop_port, sandbox_port = _port(given, "SHOP_PORT", 8000), _port(given, "SANDBOX_PORT", 8001)
    if shop_port == sandbox_port:
        raise Trouble(f"SHOP_PORT and SANDBOX_PORT are both {shop_port}: they must differ.")
    given |= {"SHOP_DATA_DIR": str(data), "SHOP_PORT": str(shop_port), "SANDBOX_PORT": str(sandbox_port)}
    return Plan(
        data=data,
        shop_port=shop_port,
        sandbox_port=sandbox_port,
        database_url=given.get("DATABASE_URL"),
        # A log that ends in a crash must hold the last line; and who loses us ends with us.
        environment=given | {"PYTHONUNBUFFERED": "1", "SHOP_WITH_PARENT": "1"},
    )


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default)).strip()
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise Trouble(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def refuse_taken_ports(plan: Plan) -> None:
    """Raise Trouble, naming the port and the variable to change, if one of ours is taken."""
    for name, port in (("SHOP_PORT", plan.shop_port), ("SANDBOX_PORT", plan.sandbox_port)):
        try:
            free = ports.is_free(port)
        except PermissionError:
            raise Trouble(f"Port {port} may not be used by this user: set {name} to one above 1023.") from None
        if not free:
            raise Trouble(f"Port {port} is taken by another program: stop it, or set {name} to a free port.")


def with_sandbox(environment: Mapping[str, str], merchant: Path) -> dict[str, str]:
    """Return the environment plus what it lacks of the simulated WeChat's, each upstream by itself.

    Whoever names another gateway for WeChat Pay or another platform brings that account's keys too: none of the
    sandbox's are mixed in.
    """
    found = _read_pairs(merchant)
    pay = {name: value for name, value in found.items() if name.startswith(_PAY)}
    platform = {name: value for name, value in found.items() if not name.startswith(_PAY)}
    lacking: dict[str, str] = {}
    if "WECHAT_PAY_URL" not in environment:
        lacking |= pay
    if "WECHAT_API_URL" not in environment:
        lacking |= platform
    return lacking | dict(environment)


def _read_pairs(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Trouble(f"The simulated WeChat did not write {path} ({error.strerror}).") from None
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): "".join(shlex.split(value)) for name, _, value in pairs}
