"""WeChat Pay's keys, by serial: the configured public key, the downloaded platform certificates, or both.

Certificates are fetched by a timer, at start, and when an *answer* of WeChat names one that we lack; never because of a
notification: a forged serial causes no call. The set is swapped only after a whole new one was decrypted and found valid
(`GET /v3/certificates`). Both kinds of keys are good at the same time, so a merchant can migrate.
"""

import time
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate
from msgspec import Meta

from payments.wechatpay import signature

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


class BadCertificates(Exception):
    """A list of certificates that cannot be taken over; the message says why."""


class Keyring:
    """`apiv3_key` is 32 bytes. `public_key` is PEM, with its `PUB_KEY_ID_…`.

    `apiv3_key_before`: what was sealed with it still opens, while the new key reaches everybody at WeChat.
    `uses_certificates`: whether platform certificates are believed as well; without a public key they always are.
    """

    def __init__(
        self,
        apiv3_key: str,
        *,
        apiv3_key_before: str | None = None,
        public_key: str | None = None,
        public_key_id: str | None = None,
        uses_certificates: bool = False,
    ) -> None:
        self._aeads = [AESGCM(key.encode()) for key in (apiv3_key, apiv3_key_before) if key]
        self._fixed: dict[str, RSAPublicKey] = {}
        self._downloaded: dict[str, tuple[RSAPublicKey, Certificate]] = {}
        if public_key and public_key_id:
            self._fixed[public_key_id] = _rsa(load_pem_public_key(public_key.encode()))
        self.uses_certificates = uses_certificates or not self._fixed

    @property
    def certificates(self) -> list[Certificate]:
        return [certificate for _, certificate in self._downloaded.values()]

    @property
    def public_key_id(self) -> str | None:
        return next(iter(self._fixed), None)

    def find(self, serial: str) -> RSAPublicKey | None:
        """The key of exactly this serial; not that of a certificate that has expired."""
        if fixed := self._fixed.get(serial):
            return fixed
        found = self._downloaded.get(serial)
        if found is None or found[1].not_valid_after_utc.timestamp() < time.time():
            return None
        return found[0]

    def newest(self) -> tuple[str, RSAPublicKey] | None:
        """What to encrypt to: the public key, or of the certificates that are valid the one that began last.

        `None`: none downloaded yet. (Defect 15: the package takes the one that ends last.)
        """
        if self._fixed:
            return next(iter(self._fixed.items()))
        now = datetime.now(UTC)
        began = sorted(
            (certificate.not_valid_before_utc, serial)
            for serial, (_, certificate) in self._downloaded.items()
            if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        )
        return (began[-1][1], self._downloaded[began[-1][1]][0]) if began else None

    def open(self, sealed: Sealed) -> bytes:
        """The plain bytes. Raises `CannotOpen` for a wrong key, `ValueError` for a malformed resource."""
        if sealed.algorithm != "AEAD_AES_256_GCM":
            raise ValueError("unknown algorithm")
        nonce = sealed.nonce.encode()
        if not 8 <= len(nonce) <= 128:  # what AES-GCM takes; WeChat sends 12
            raise ValueError("nonce of the wrong length")
        ciphertext, extra = b64decode(sealed.ciphertext, validate=True), (sealed.associated_data or "").encode()
        for aead in self._aeads:
            with suppress(InvalidTag):
                return aead.decrypt(nonce, ciphertext, extra)
        raise CannotOpen

    def take_over(self, headers: Mapping[str, str], raw: bytes, wall_clock_s: float) -> None:
        """Believe the certificates of this answer from now on, and no others; those that have expired are left out.

        The first answer that we ever get cannot be verified before it is opened, so each is verified with what it
        brings, or with the public key (which signs it in the week of the migration, when we name it). Raises `BadCertificates`, `CannotOpen`; then the present ones stay.
        """
        valid = {
            serial: pair
            for serial, pair in self._opened(raw).items()
            if pair[1].not_valid_after_utc.timestamp() >= wall_clock_s
        }
        if not valid:
            raise BadCertificates("no certificate that is valid")
        try:
            brought = {serial: key for serial, (key, _) in valid.items()}
            signature.check(headers, raw, (brought | self._fixed).get, wall_clock_s)
        except signature.BadSignature as error:
            raise BadCertificates(str(error)) from error
        if valid.keys() != self._downloaded.keys():
            log.info("platform certificates", serials=sorted(valid))
        self._downloaded = valid

    def hold(self, raw: bytes) -> None:
        """Take the certificates of an answer as they are, expired ones too: to look at them, for who verifies it
        elsewhere. Raises `BadCertificates`, `CannotOpen`.
        """
        self._downloaded = self._opened(raw)

    def _opened(self, raw: bytes) -> dict[str, tuple[RSAPublicKey, Certificate]]:
        try:
            found = msgspec.json.decode(raw, type=_Certificates)
            opened = {
                entry.serial_no: load_pem_x509_certificate(self.open(entry.encrypt_certificate)) for entry in found.data
            }
            keys = {serial: (_rsa(certificate.public_key()), certificate) for serial, certificate in opened.items()}
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise BadCertificates("a list that cannot be read") from error
        if any(serial.lstrip("0") != f"{certificate.serial_number:X}" for serial, certificate in opened.items()):
            raise BadCertificates("a certificate under another serial")
        return keys


def _rsa(key: object) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey):
        raise TypeError("WeChat Pay's key must be RSA")
    return key
