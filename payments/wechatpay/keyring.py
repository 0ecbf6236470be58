"""WeChat Pay's keys, by serial: the configured public key, the downloaded platform certificates, or both.

Certificates are fetched by a timer and at start, never because of a notification: a forged serial causes no call. The
set is swapped only after a whole new one was decrypted (`GET /v3/certificates`).
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate
from msgspec import Meta

log = structlog.get_logger()


class Sealed(msgspec.Struct, frozen=True):
    """An AEAD_AES_256_GCM resource."""

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: str | None = None
    original_type: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$(?!\n)")] = ""


class _Entry(msgspec.Struct):
    serial_no: str
    encrypt_certificate: Sealed


class _Certificates(msgspec.Struct):
    data: list[_Entry]


class CannotOpen(Exception):
    """A correctly signed resource that does not open: our APIv3 key is wrong."""


class Keyring:
    """`apiv3_key` is 32 bytes. `public_key` is PEM, with its `PUB_KEY_ID_…`."""

    def __init__(self, apiv3_key: str, *, public_key: str | None = None, public_key_id: str | None = None) -> None:
        self._aead = AESGCM(apiv3_key.encode())
        self._fixed: dict[str, RSAPublicKey] = {}
        self.certificates: list[Certificate] = []
        self._downloaded: dict[str, RSAPublicKey] = {}
        if public_key and public_key_id:
            self._fixed[public_key_id] = _rsa(load_pem_public_key(public_key.encode()))

    def find(self, serial: str) -> RSAPublicKey | None:
        """The key of exactly this serial."""
        return self._fixed.get(serial) or self._downloaded.get(serial)

    def newest(self) -> tuple[str, RSAPublicKey] | None:
        """What to encrypt to: the public key, or the certificate that began last. `None`: none downloaded yet."""
        if self._fixed:
            return next(iter(self._fixed.items()))
        serials = zip(self._downloaded, self.certificates, strict=True)
        began = sorted((certificate.not_valid_before_utc, serial) for serial, certificate in serials)
        return (began[-1][1], self._downloaded[began[-1][1]]) if began else None

    def open(self, sealed: Sealed) -> bytes:
        """The plain bytes. Raises `CannotOpen` for a wrong key, `ValueError` for a malformed resource."""
        if sealed.algorithm != "AEAD_AES_256_GCM":
            raise ValueError("unknown algorithm")
        nonce = sealed.nonce.encode()
        if not 8 <= len(nonce) <= 128:  # what AES-GCM takes; WeChat sends 12
            raise ValueError("nonce of the wrong length")
        try:
            return self._aead.decrypt(
                nonce, b64decode(sealed.ciphertext, validate=True), (sealed.associated_data or "").encode()
            )
        except InvalidTag as error:
            raise CannotOpen from error

    async def refresh(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        """Take over the certificates that `fetch` brings; on any failure the present ones stay."""
        found = msgspec.json.decode(await fetch(), type=_Certificates)
        certificates = [load_pem_x509_certificate(self.open(entry.encrypt_certificate)) for entry in found.data]
        if not certificates:
            log.warning("no platform certificate offered")
            return
        self._downloaded = {
            entry.serial_no: _rsa(certificate.public_key())
            for entry, certificate in zip(found.data, certificates, strict=True)
        }
        self.certificates = certificates


def _rsa(key: object) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey):
        raise TypeError("WeChat Pay's key must be RSA")
    return key
