"""Settings that contradict each other, found without asking anybody."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kit import hosts
from kit.keys import private_key
from payments.reconciliation import wanting
from payments.reconciliation.models import BillKind
from payments.wechatpay.merchant import Merchant
from shop.doctor.findings import Finding, ok, warning, wrong
from shop.settings import LOOPBACK, PaySettings, Settings

_NOTIFY_BYTES = 255
"""WeChat Pay's limit for `notify_url`."""


def look(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Everything that the settings alone give away; at least one finding each for addresses, names and keys."""
    groups = (
        (
            "addresses",
            list(_addresses(settings)),
            f"WeChat Pay at {settings.pay.url}, notices to {settings.public_url}",
        ),
        ("names", list(_names(settings)), f"merchant {settings.pay.mch_id}, Mini Program {settings.wechat.app_id}"),
        ("key settings", list(_keys(settings.pay, environment)), f"key mode {settings.pay.key_mode}"),
    )
    found = []
    for about, trouble, fine in groups:
        found += trouble or [ok(about, fine)]
    return found


def bills(merchant: Merchant) -> Finding:
    """How much of what WeChat settles is held against the books each day."""
    kinds = wanting.kinds_of(merchant)
    if not kinds:
        return warning(
            "bills",
            "no bill of WeChat's is matched: no description of a statement's columns overseas is known",
            "Compare WeChat's statements with `GET /admin/v1/ledger/balances` by hand.",
        )
    if BillKind.FUND_FLOW not in kinds:
        return warning(
            "bills",
            "the trade bill is matched each day, the sub-merchant's account is not: a partner cannot read its fund flow",
            "Have the sub-merchant compare its own fund flow, from its merchant platform.",
        )
    return ok("bills", "trade bill and fund flow are matched each day")


def notify_url(settings: Settings) -> str:
    """Where WeChat Pay tells us, as the gateway names it."""
    return f"{settings.public_url}/wechat/pay/notify"


def _addresses(settings: Settings) -> Iterator[Finding]:
    about, ours = "addresses", urlsplit(notify_url(settings))
    pay, platform = _is_here(settings.pay.url), _is_here(settings.wechat.url)
    if ours.query or ours.fragment or "?" in settings.public_url:
        yield wrong(
            about,
            "the notify URL has a query, and WeChat Pay refuses or cuts it",
            "Set SHOP_PUBLIC_URL without ? and #.",
        )
    if len(notify_url(settings).encode()) > _NOTIFY_BYTES:
        yield wrong(about, "the notify URL is longer than 255 bytes", "Set a shorter SHOP_PUBLIC_URL.")
    if not pay and ours.scheme != "https":
        yield wrong(about, "notices would come by http, readable on the way", "Set SHOP_PUBLIC_URL to https://….")
    if not pay and ours.hostname in LOOPBACK:
        yield wrong(
            about,
            f"WeChat Pay is real and cannot reach {ours.hostname}",
            "Set SHOP_PUBLIC_URL to an address of the internet, or use the simulated WeChat.",
        )
    if pay != platform:
        where = (
            "WeChat Pay is simulated and the platform is real" if pay else "the platform is simulated and Pay is real"
        )
        yield warning(about, where, "Fine for a trial; else set WECHAT_PAY_URL and WECHAT_API_URL to the same world.")
    if hosts.role(settings.database_url) == hosts.role(settings.database_owner_url):
        yield warning(
            about,
            "the shop serves with the role that owns the schema",
            "Make a second role for DATABASE_URL and run `python -m shop migrate`: it gets only the rights it needs.",
        )


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


def _names(settings: Settings) -> Iterator[Finding]:
    about, pay = "names", settings.pay
    if not re.fullmatch(r"[0-9]{8,10}", pay.mch_id):
        yield wrong(
            about,
            f"WECHAT_PAY_MCH_ID is {pay.mch_id!r}, which is no merchant number",
            "Copy the number of ten digits from the merchant platform.",
        )
    if not re.fullmatch(r"wx[0-9a-f]{16}", settings.wechat.app_id):
        yield wrong(
            about,
            f"WECHAT_APP_ID is {settings.wechat.app_id!r}, which is no appid",
            "Copy the AppID (wx and sixteen characters) from the Mini Program's settings.",
        )
    if pay.cert_serial.startswith("PUB_KEY_ID"):
        yield wrong(
            about,
            "WECHAT_PAY_CERT_SERIAL holds the id of WeChat's public key",
            "Put the serial of your own API certificate there (merchant platform, API security).",
        )
    elif not re.fullmatch(r"[0-9A-F]{40}", pay.cert_serial):
        yield wrong(
            about,
            "WECHAT_PAY_CERT_SERIAL is not forty upper-case hex digits",
            "Copy it from the merchant platform, or: openssl x509 -in apiclient_cert.pem -noout -serial",
        )
    if settings.wechat.app_secret == pay.apiv3_key:
        yield wrong(
            about,
            "WECHAT_PAY_APIV3_KEY and WECHAT_APP_SECRET are the same",
            "They are two secrets: the APIv3 key is set in the merchant platform, the AppSecret in the Mini Program's.",
        )
    if not re.fullmatch(r"[0-9A-Za-z]{32}", pay.apiv3_key):
        yield warning(
            about,
            "WECHAT_PAY_APIV3_KEY has characters that the merchant platform does not take",
            "It is 32 letters and digits; look for a blank or a quote too many.",
        )


def _keys(pay: PaySettings, environment: Mapping[str, str]) -> Iterator[Finding]:
    about = "key settings"
    private = private_key(pay.private_key)
    assert isinstance(private, RSAPrivateKey)
    if private.key_size != 2048:
        yield wrong(
            about, f"the private key has {private.key_size} bits", "WeChat Pay takes RSA keys of 2048 bits only."
        )
    if pay.key_mode == "certificate" and environment.get("WECHAT_PAY_PUBLIC_KEY_ID", "").strip():
        yield warning(
            about,
            "a public key is set, and key mode `certificate` ignores it: notices signed with it are refused",
            "Set WECHAT_PAY_KEY_MODE=both for the week of the migration, public_key after it.",
        )
    if pay.public_key is None or pay.public_key_id is None:
        return
    public = load_pem_public_key(pay.public_key.encode())
    assert isinstance(public, RSAPublicKey)
    if public.public_numbers() == private.public_key().public_numbers():
        yield wrong(
            about,
            "WECHAT_PAY_PUBLIC_KEY is the other half of your own private key",
            "Download WeChat Pay's public key (pub_key.pem) from the merchant platform: it is not yours.",
        )
    if not re.fullmatch(r"PUB_KEY_ID_[0-9]{16,53}", pay.public_key_id):
        yield wrong(
            about,
            "WECHAT_PAY_PUBLIC_KEY_ID is not PUB_KEY_ID_ and digits",
            "Copy it as a whole, with its beginning, from the merchant platform.",
        )
    elif pay.mch_id not in pay.public_key_id:
        yield warning(
            about,
            f"the public key's id does not hold the merchant number {pay.mch_id}",
            "See that key and id are this merchant's own.",
        )
