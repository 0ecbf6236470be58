"""Both sides' keys, made at first start and never leaving the data folder."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from sandbox import files

PLATFORM = ("wechatpay_cert_key.pem", "wechatpay_cert.pem")


class Identity(msgspec.Struct, frozen=True):
    """The merchant and the Mini Program this world knows."""

    app_id: str
    app_secret: str
    mch_id: str
    apiv3_key: str
    public_key_id: str
    sub_mch_id: str | None = None
    """The one sub-merchant who authorised this merchant, who is then a partner (服务商)."""
    sub_app_id: str | None = None
    region: Literal["cn", "global"] = "cn"
    currency: str = "CNY"
    """What prices are in; overseas (``global``) the payer pays yuan all the same."""
    merchant_category_code: str | None = None


@dataclass(frozen=True)
class Keyring:
    """One merchant's pair, and WeChat's two: the public key of new merchants, the certificate of older ones."""

    identity: Identity
    merchant: RSAPrivateKey
    merchant_certificate: x509.Certificate
    public_key: RSAPrivateKey
    platform: RSAPrivateKey
    platform_certificate: x509.Certificate
    former: tuple[RSAPrivateKey, x509.Certificate] | None = None
    """The platform's pair before the last rotation, still valid until it is retired."""

    @property
    def merchant_serial(self) -> str:
        """Forty upper-case hex digits, as SDKs send it."""
        return f"{self.merchant_certificate.serial_number:040X}"

    @property
    def platform_serial(self) -> str:
        """Forty upper-case hex digits, as WeChat names its certificate."""
        return serial_of(self.platform_certificate)

    @property
    def platforms(self) -> dict[str, tuple[RSAPrivateKey, x509.Certificate]]:
        """The platform's valid pairs by serial, the newest first."""
        pairs = [(self.platform, self.platform_certificate), *([self.former] if self.former else [])]
        return {serial_of(certificate): (key, certificate) for key, certificate in pairs}


@dataclass(frozen=True)
class Account:
    """What kind of merchant lives here; kept at the first start that says so."""

    partner: bool = False
    region: Literal["cn", "global"] | None = None
    currency: str | None = None


def keep(
    folder: Path, *, app_id: str | None = None, app_secret: str | None = None, account: Account | None = None
) -> Keyring:
    """Load the keys of ``folder``, or make them there. A given appid or AppSecret stands in for the one made here."""
    if not (folder / "identity.json").exists():  # written last: a start that was cut short begins again
        _make(folder)
    identity = _become(folder, msgspec.json.decode((folder / "identity.json").read_bytes(), type=Identity), account)
    given = {name: value for name, value in (("app_id", app_id), ("app_secret", app_secret)) if value}
    return Keyring(
        identity=msgspec.structs.replace(identity, **given),
        merchant=_private(folder / "merchant_key.pem"),
        merchant_certificate=_certificate(folder / "merchant_cert.pem"),
        public_key=_private(folder / "wechatpay_key.pem"),
        platform=_private(folder / "wechatpay_cert_key.pem"),
        platform_certificate=_certificate(folder / "wechatpay_cert.pem"),
        former=_former(folder),
    )


def rotate(folder: Path, keys: Keyring) -> Keyring:
    """A new platform certificate beside the one there is, which stays valid until :func:`retire`."""
    for name in PLATFORM:
        files.replace(folder / f"former_{name}", (folder / name).read_bytes())
    key = generate_private_key(65537, 2048)
    subject, root = _name("Tenpay.com sign", "Tenpay.com"), _name("Tenpay.com Root CA", "Tenpay.com")
    pem = _certify(key, subject, root, key, datetime.now(UTC) - timedelta(minutes=1)).rstrip()
    for name, content in zip(PLATFORM, (_pem(key), pem), strict=True):
        files.replace(folder / name, content)
    former = (keys.platform, keys.platform_certificate)
    return replace(keys, platform=key, platform_certificate=x509.load_pem_x509_certificate(pem), former=former)


def retire(folder: Path, keys: Keyring) -> Keyring:
    """The certificate before the last rotation is valid no more."""
    for name in PLATFORM:
        (folder / f"former_{name}").unlink(missing_ok=True)
    return replace(keys, former=None)


def _former(folder: Path) -> tuple[RSAPrivateKey, x509.Certificate] | None:
    key, certificate = (folder / f"former_{name}" for name in PLATFORM)
    return (_private(key), _certificate(certificate)) if key.exists() and certificate.exists() else None


def serial_of(certificate: x509.Certificate) -> str:
    """Forty upper-case hex digits."""
    return f"{certificate.serial_number:040X}"


def _become(folder: Path, identity: Identity, account: Account | None) -> Identity:
    if account is None:
        return identity
    facts: dict[str, str] = {}
    if account.partner and identity.sub_mch_id is None:
        facts |= {"sub_mch_id": "1900000101", "sub_app_id": "wx0001" + secrets.token_hex(6)}
    if account.region is not None and account.region != identity.region:
        abroad = account.region == "global"
        facts |= {"region": account.region, "currency": "HKD" if abroad else "CNY"}
        facts |= {"merchant_category_code": "5812"} if abroad else {}
    if account.currency is not None:
        facts["currency"] = account.currency
    if not facts:
        return identity
    become = msgspec.structs.replace(identity, **facts)
    files.replace(folder / "identity.json", msgspec.json.encode(become))
    return become


def _make(folder: Path) -> None:
    mch_id = "1900000001"
    merchant, public, platform = (generate_private_key(65537, 2048) for _ in range(3))
    root = _name("Tenpay.com Root CA", "Tenpay.com")
    sealed = {
        "merchant_key.pem": _pem(merchant),
        "merchant_cert.pem": _certify(merchant, _name(mch_id, "Sandbox"), root, platform),
        "wechatpay_key.pem": _pem(public),
        "wechatpay_public_key.pem": public.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "wechatpay_cert_key.pem": _pem(platform),
        # The real one ends without a line break, and so does the decrypted answer of GET /v3/certificates.
        "wechatpay_cert.pem": _certify(platform, _name("Tenpay.com sign", "Tenpay.com"), root, platform).rstrip(),
    }
    for name, pem in sealed.items():
        files.replace(folder / name, pem)
    # Eight zeros never occur in a real id: production code may refuse ours by them.
    public_key_id = f"PUB_KEY_ID_00000000{mch_id}{secrets.randbelow(10**16):016d}"
    identity = Identity(
        app_id="wx0000" + secrets.token_hex(6),
        app_secret=secrets.token_hex(16),
        mch_id=mch_id,
        apiv3_key=secrets.token_hex(16),
        public_key_id=public_key_id,
    )
    files.replace(folder / "identity.json", msgspec.json.encode(identity))


def _pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{organisation} CA Center"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certify(
    key: RSAPrivateKey, subject: x509.Name, issuer: x509.Name, signer: RSAPrivateKey, start: datetime | None = None
) -> bytes:
    start = start or datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number((secrets.randbelow(0x6F) + 0x10) << 152 | secrets.randbits(152))  # exactly forty hex digits
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=5 * 365))
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _private(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())
