"""The people of the demo, each with nothing but HTTP."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

_PATIENCE_S = 30.0


class Surprise(Exception):
    """Something did not go as it should; the argument says what was expected and what came."""


def expect(condition: bool, otherwise: str) -> None:
    """Raise `Surprise` unless the condition holds."""
    if not condition:
        raise Surprise(otherwise)


class Client:
    """JSON over HTTP with a bearer token and a fresh Idempotency-Key for each wish."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=15, trust_env=False)
        self._token: str | None = None

    def close(self) -> None:
        self._http.close()

    def remember(self, token: str) -> None:
        self._token = token

    def get(self, path: str, **params: Any) -> Any:
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """The answer's JSON. With `status`, exactly that status is expected."""
        return self._call("POST", path, body=body, status=status)

    def _call(self, method: str, path: str, *, body: Any = None, params: Any = None, status: int | None = None) -> Any:
        headers = {"idempotency-key": secrets.token_hex(12), "accept-language": "en"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        answer = self._http.request(method, path, json=body, params=params, headers=headers)
        fits = answer.status_code == status if status is not None else answer.is_success
        expect(fits, f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None


class Phone(Client):
    """The simulated WeChat's levers: what a person does with a phone, and what time it is."""

    def code(self, user: str, kind: str = "login") -> str:
        return str(self.post("/_sandbox/codes", {"kind": kind, "user": user})["code"])

    def pay(self, out_trade_no: str, *, raced: bool = False) -> None:
        self.post(f"/_sandbox/payments/{out_trade_no}/pay", {"raced": raced})

    def waiting(self, package: str) -> str:
        """The out_trade_no behind a payment sheet's `package`."""
        prepay_id = package.removeprefix("prepay_id=")
        for payment in self.get("/_sandbox/payments")["items"]:
            if payment["prepay_id"] == prepay_id:
                return str(payment["out_trade_no"])
        raise Surprise(f"no payment waits for {package}")

    def skip(self, minutes: float) -> None:
        self.post("/_sandbox/clock/advance", {"seconds": minutes * 60})


def until(what: str, look: Callable[[], Any]) -> Any:
    """Look again and again until something is there. Raises `Surprise` after half a minute."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.15)
    raise Surprise(f"waited {_PATIENCE_S:.0f} s in vain: {what}")
