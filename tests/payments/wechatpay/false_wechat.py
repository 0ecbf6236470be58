"""A WeChat Pay that says what a test wants, true or false, over real HTTP; written without the shop's own code.

It verifies what it hears by the merchant's key, and signs by the platform's: the public key, or certificates that it can
rotate while it runs.
"""

import hashlib
import json
import re
import secrets
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from payments.wechatpay.connection import Connection
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.keyring import Keyring
from payments.wechatpay.merchant import Merchant

APIV3_KEY = "0123456789abcdef0123456789abcdef"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000011092026010100111122003344"
MERCHANT_SERIAL = "7" * 40


@cache
def key(which: str) -> RSAPrivateKey:
    """One pair per name and process: making one takes a while."""
    assert which
    return generate_private_key(65537, 2048)


def pem(private: RSAPrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(private: RSAPrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass
class Platform:
    """A platform certificate and its key."""

    private: RSAPrivateKey
    certificate: x509.Certificate

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:040X}"

    def entry(self, apiv3_key: str = APIV3_KEY, **changed: str) -> dict[str, Any]:
        nonce = secrets.token_hex(6)
        plain = self.certificate.public_bytes(Encoding.PEM).rstrip()
        sealed = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plain, b"certificate")
        return {
            "serial_no": self.serial,
            "effective_time": "2024-01-01T08:00:00+08:00",
            "expire_time": "2029-01-01T08:00:00+08:00",
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": "certificate",
                "ciphertext": b64encode(sealed).decode(),
            },
        } | changed


def platform(which: str, *, begins_days: float = -1, ends_days: float = 1800) -> Platform:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    private, now = key(which), datetime.now(UTC)
    serial = int.from_bytes(hashlib.sha1(which.encode(), usedforsecurity=False).digest()) % 16**39 + 5 * 16**39
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(now + timedelta(days=begins_days))
        .not_valid_after(now + timedelta(days=ends_days))
        .sign(private, hashes.SHA256())
    )
    return Platform(private, certificate)


@dataclass
class Heard:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    is_genuine: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Said:
    """An answer as it shall go."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    signed: bool = True
    signed_text: bytes | None = None
    by: Platform | None = None
    timestamp: str | None = None
    spoil: dict[str, str | None] = field(default_factory=dict)
    piece: int = 1 << 20
    cut_short: bool = False
    trickle_s: float = 0.0


class FalseWeChat:
    """`say` the next answers (the last one stays); `heard` is what was asked. `offered` is what certificates it lists."""

    def __init__(self, *, public_key: bool = True, certificates: bool = False) -> None:
        self.heard: list[Heard] = []
        self.answers: list[Said] = []
        self.offered: list[Platform] = []
        self.list_signed_by: Platform | None = None
        self.list_answer: Said | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        pair = {"public_key": public_pem(key("public")), "public_key_id": PUBLIC_KEY_ID} if public_key else {}
        keyring = Keyring(APIV3_KEY, uses_certificates=certificates, **pair)
        self.connection = Connection(
            url=self.url,
            mchid="1900000109",
            cert_serial=MERCHANT_SERIAL,
            private_key=pem(key("merchant")),
            keyring=keyring,
        )
        merchant = Merchant(mchid="1900000109", appid="wx0123456789abcdef")
        self.gateway = Gateway(self.connection, merchant, "https://shop.example.com/wechat/pay/notify")

    def say(self, body: object, **how: Any) -> None:
        """The next answer; it replaces what was to be said for ever."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.answers = [Said(raw, **how)]

    def then(self, body: object, **how: Any) -> None:
        """And the one after that."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.answers.append(Said(raw, **how))

    def say_statement(self, text: bytes, sha1: str | None = None) -> None:
        sha1 = sha1 or hashlib.sha1(text, usedforsecurity=False).hexdigest()
        self.say(text, headers={"Wechatpay-Statement-Sha1": sha1}, signed_text=b'{"sha1":"%s"}' % sha1.encode())

    def asked_for_certificates(self) -> int:
        return sum(heard.target == "/v3/certificates" for heard in self.heard)

    def next_answer(self, heard: Heard) -> Said:
        if heard.target == "/v3/certificates":
            if self.list_answer is not None:
                return self.list_answer
            body = json.dumps({"data": [one.entry() for one in self.offered]}).encode()
            return Said(body, by=self.list_signed_by or self.offered[-1])
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def signature(self, said: Said) -> dict[str, str]:
        """The headers that make an answer WeChat's."""
        timestamp, nonce = said.timestamp or str(int(time.time())), secrets.token_hex(16)
        private = said.by.private if said.by else key("public")
        body = said.body if said.signed_text is None else said.signed_text
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        headers: dict[str, str | None] = {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": said.by.serial if said.by else PUBLIC_KEY_ID,
            "Wechatpay-Signature": b64encode(private.sign(text, PKCS1v15(), hashes.SHA256())).decode(),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        } | said.spoil
        return {name: value for name, value in headers.items() if value is not None}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


_ITEM = re.compile(r'(\w+)="([^"]*)"')


def genuine(method: str, target: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the merchant signed this very request."""
    scheme, _, items = headers.get("authorization", "").partition(" ")
    found = dict(_ITEM.findall(items))
    text = f"{method}\n{target}\n{found.get('timestamp')}\n{found.get('nonce_str')}\n".encode() + body + b"\n"
    try:
        key("merchant").public_key().verify(b64decode(found["signature"]), text, PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, KeyError):
        return False
    return scheme == "WECHATPAY2-SHA256-RSA2048" and found["serial_no"] == MERCHANT_SERIAL


def _handler(wechat: FalseWeChat) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_genuine = genuine(self.command, self.path, headers, body)
            heard = Heard(self.command, self.path, headers, body, is_genuine)
            wechat.heard.append(heard)
            said = wechat.next_answer(heard)
            self.send_response(said.status)
            signed = wechat.signature(said) if said.signed else {}
            for name, value in {"Content-Type": "application/json; charset=utf-8", **said.headers, **signed}.items():
                self.send_header(name, value)
            if said.status != 204:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            end = len(said.body) // 2 if said.cut_short else len(said.body)
            for start in range(0, end, said.piece):
                self.wfile.write(said.body[start : min(start + said.piece, end)])
                self.wfile.flush()
                time.sleep(said.trickle_s)
            self.close_connection = True

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  (the server's names)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
