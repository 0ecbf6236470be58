"""A second pair of eyes on WeChat Pay: signs and verifies by itself, and keeps what a client would hide.

The shop's own client answers done, refused or unknown, and that is all that business needs. To say *which* key is wrong,
status, code, `Date` and the signature of an answer are looked at one by one. Only calls that move no money.
"""

import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from kit.http import outside_client
from kit.keys import private_key
from payments.wechatpay.keyring import Keyring
from shop.settings import PaySettings

_SCHEME = "WECHATPAY2-SHA256-RSA2048"
_OAEP = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303  (WeChat Pay's choice)


class Unreached(Exception):
    """No answer; the text says how it failed."""


class Answer(msgspec.Struct, frozen=True):
    """One answer as it came. `offset_s`: how far WeChat's clock is ahead of ours, to about a second."""

    status: int
    headers: dict[str, str]
    body: bytes
    offset_s: float | None

    def member(self, name: str) -> Any:
        """A member of the JSON object that the body may be."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found.get(name) if isinstance(found, dict) else None

    @property
    def refusal(self) -> str:
        """`401 SIGN_ERROR: 签名错误`, for people."""
        code, message = self.member("code"), self.member("message")
        return f"{self.status} {code}: {str(message)[:120]}" if code else f"HTTP {self.status}"


class Wire:
    """Calls of one merchant. `wall_clock` is what the signatures say."""

    def __init__(self, pay: PaySettings, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._pay = pay
        self._wall_clock = wall_clock
        self._http = outside_client(pay.url, timeout_s=10.0)
        key = private_key(pay.private_key)
        assert isinstance(key, RSAPrivateKey)
        self._key = key

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None, *, serial: str | None = None) -> Answer:
        """One signed call; `serial` names the key of WeChat that we use. Raises `Unreached`."""
        content = b"" if body is None else msgspec.json.encode(body)
        headers = {
            "authorization": self._authorization(method, path, content),
            "accept": "application/json",
            "user-agent": "shop-doctor",
            "content-type": "application/json",
            **({"wechatpay-serial": serial} if serial else {}),
        }
        began = self._wall_clock()
        try:
            response = await self._http.request(method, path, content=content, headers=headers)
        except httpx.ConnectError as error:
            raise Unreached("no connection") from error
        except httpx.TransportError as error:
            raise Unreached(type(error).__name__) from error
        middle = (began + self._wall_clock()) / 2
        return Answer(response.status_code, dict(response.headers), response.content, _offset(response, middle))

    def _authorization(self, method: str, path: str, content: bytes) -> str:
        timestamp, nonce = str(int(self._wall_clock())), secrets.token_hex(16).upper()
        text = f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + content + b"\n"
        signature = b64encode(self._key.sign(text, PKCS1v15(), SHA256())).decode()
        return (
            f'{_SCHEME} mchid="{self._pay.mch_id}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self._pay.cert_serial}"'
        )

    def opened(self, value: str) -> str | None:
        """What WeChat encrypted to our certificate, or `None` when our private key does not open it."""
        try:
            return self._key.decrypt(b64decode(value), _OAEP).decode()
        except ValueError:
            return None


def _offset(response: httpx.Response, middle: float) -> float | None:
    """`Date` has whole seconds, cut: half of one is added."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp() + 0.5 - middle
    except (KeyError, ValueError, TypeError):
        return None


def sealed_to(key: RSAPublicKey, text: str) -> str:
    """`text` for the owner of `key` only."""
    return b64encode(key.encrypt(text.encode(), _OAEP)).decode()


def flaw(answer: Answer, keyring: Keyring) -> str | None:
    """What is wrong with the signature of an answer, or `None`."""
    get = answer.headers.get
    serial = get("wechatpay-serial", "")
    signature = get("wechatpay-signature", "")
    if not signature:
        return "it is not signed"
    key = keyring.find(serial)
    if key is None:
        return f"it is signed with {serial or 'a key without serial'}, which we do not know"
    text = f"{get('wechatpay-timestamp', '')}\n{get('wechatpay-nonce', '')}\n".encode() + answer.body + b"\n"
    try:
        key.verify(b64decode(signature), text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return f"its signature does not fit our key for {serial}"
    return None
