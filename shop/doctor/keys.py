"""Do the keys fit? Asked of WeChat Pay itself, by calls that move no money.

`GET /v3/certificates` says whether we may sign at all, and opens only with the right APIv3 key; `POST /v3/security/echo`
is answered with WeChat's signature and, encrypted, for our certificate.
"""

import secrets
from datetime import UTC, datetime
from urllib.parse import urlencode

from cryptography.x509 import Certificate

from payments.wechatpay.keyring import BadCertificates, CannotOpen, Keyring
from payments.wechatpay.merchant import Merchant
from shop.doctor.findings import Finding, ok, warning, wrong
from shop.doctor.wire import Answer, Unreached, Wire, flaw, sealed_to
from shop.settings import PaySettings

_APIV3 = "APIv3 key"
_ENDS_SOON_DAYS = 60
_CLOCK_WARNS_S = 60
_CLOCK_FAILS_S = 300
"""WeChat Pay refuses what is signed five minutes before or after."""


async def look(wire: Wire, pay: PaySettings, keyring: Keyring, merchant: Merchant) -> list[Finding]:
    """Whether WeChat Pay knows us, and we it. `keyring` takes up the certificates that are found on the way."""
    try:
        answer = await wire.ask("GET", "/v3/certificates")
    except Unreached as error:
        todo = "See that this machine may call that address (DNS, firewall, proxy), and that WECHAT_PAY_URL is right."
        return [wrong("WeChat Pay", f"{pay.url} does not answer: {error}", todo)]
    found = [_clock(answer)]
    refused = _unsigned(answer)
    if refused is not None:
        return [*found, refused]
    found.append(ok("signing", f"merchant {pay.mch_id} may sign with certificate {pay.cert_serial[:8]}…"))
    found += _certificates(answer, pay, keyring)
    found += await _believed(wire, pay, keyring)
    found.append(await _may_ask(wire, merchant))
    return found


def _clock(answer: Answer) -> Finding:
    about = "clock"
    if answer.offset_s is None:
        return warning(about, "the answer has no Date", "Compare this machine's clock by other means (NTP).")
    seen = f"this machine is {abs(answer.offset_s):.0f} s {'behind' if answer.offset_s > 0 else 'ahead of'} WeChat Pay"
    todo = "Let this machine follow a time server (chrony, systemd-timesyncd)."
    if abs(answer.offset_s) > _CLOCK_FAILS_S:
        return wrong(about, f"{seen}, and at 300 s everything is refused", todo)
    return warning(about, seen, todo) if abs(answer.offset_s) > _CLOCK_WARNS_S else ok(about, seen)


def _unsigned(answer: Answer) -> Finding | None:
    """Why WeChat Pay does not take our signature, as far as it says; `None` when it does."""
    about, message = "signing", str(answer.member("message") or "")
    if answer.status in {200, 204, 404}:
        return None
    if answer.status == 401 and "timestamp" in message:
        return wrong(about, answer.refusal, "The clock of this machine is off: let it follow a time server.")
    if answer.status == 401 and ("序列号" in message or "证书" in message):
        return wrong(
            about,
            answer.refusal,
            "WECHAT_PAY_CERT_SERIAL is not a valid certificate of this merchant: copy the serial of the API certificate"
            " that belongs to WECHAT_PAY_PRIVATE_KEY.",
        )
    if answer.status == 401:
        return wrong(
            about,
            answer.refusal,
            "WECHAT_PAY_PRIVATE_KEY does not belong to WECHAT_PAY_CERT_SERIAL (or WECHAT_PAY_MCH_ID is another merchant):"
            " use apiclient_key.pem and the serial of the same certificate.",
        )
    if answer.status in {429, 500, 502, 503, 504}:
        return wrong(about, answer.refusal, "WeChat Pay is busy or ill: look again in a few minutes.")
    return wrong(about, answer.refusal, "See what the message says about this merchant in the merchant platform.")


def _certificates(answer: Answer, pay: PaySettings, keyring: Keyring) -> list[Finding]:
    """What the list holds, whether it opens, and how long it lasts."""
    about = "platform certificates"
    if answer.status == 404 and pay.key_mode == "public_key":
        return [ok(about, "none, as it should be: this merchant verifies by the public key")]
    if answer.status == 404:
        todo = (
            "Set WECHAT_PAY_KEY_MODE=public_key with WECHAT_PAY_PUBLIC_KEY and its id: this merchant has nothing else."
        )
        return [wrong(about, f"WeChat Pay has none for this merchant, and key mode {pay.key_mode} needs one", todo)]

    offered = Keyring(pay.apiv3_key)
    try:
        offered.hold(answer.body)
    except CannotOpen:
        todo = (
            "Set WECHAT_PAY_APIV3_KEY to the key of this merchant; when nobody knows it, set a new one in the platform."
        )
        return [wrong(_APIV3, "the platform certificates do not open with it, and neither does any notice", todo)]
    except BadCertificates:
        return [wrong(about, "the list of certificates cannot be read", "See that WECHAT_PAY_URL is WeChat Pay.")]
    found = [ok(_APIV3, "it opens the platform certificates")]
    if pay.key_mode == "public_key":
        seen = f"{len(offered.certificates)} found, and key mode public_key does not believe them"
        return [*found, warning(about, seen, "If the migration is not over yet, set WECHAT_PAY_KEY_MODE=both.")]
    keyring.hold(answer.body)
    return [*found, *(_expiry(certificate) for certificate in keyring.certificates)]


def _serial(certificate: Certificate) -> str:
    """As WeChat writes it: forty upper-case hex digits."""
    return f"{certificate.serial_number:040X}"


def _expiry(certificate: Certificate) -> Finding:
    left = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    seen = f"{_serial(certificate)[:8]}… ends in {left} days, on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if left < 0:
        return wrong("platform certificates", seen, "WeChat Pay must issue a new one: ask its support.")
    if left < _ENDS_SOON_DAYS:
        todo = "Nothing, if a newer one stands beside it within weeks: it is fetched by itself every 12 hours."
        return warning("platform certificates", seen, todo)
    return ok("platform certificates", seen)


async def _believed(wire: Wire, pay: PaySettings, keyring: Keyring) -> list[Finding]:
    """An echo for each key of WeChat's that we have: is its answer signed as we can verify, and encrypted to us?"""
    serials = [pay.public_key_id] if pay.public_key_id else []
    serials += [_serial(certificate) for certificate in keyring.certificates]
    return [finding for serial in dict.fromkeys(serials) for finding in await _echo(wire, keyring, serial)]


async def _echo(wire: Wire, keyring: Keyring, serial: str) -> list[Finding]:
    about, message = (
        f"key {serial[:19]}…" if len(serial) > 20 else f"key {serial}",
        f"shop doctor {secrets.token_hex(8)}",
    )
    key = keyring.find(serial)
    assert key is not None
    body = {"echo_message": message, "encrypted_echo_message": sealed_to(key, message)}
    try:
        answer = await wire.ask("POST", "/v3/security/echo", body, serial=serial)
    except Unreached as error:
        return [wrong(about, f"no answer to the echo: {error}", "Look again; if it stays, see the way to WeChat Pay.")]
    if answer.status in {404, 405}:
        return [warning(about, "this gateway has no echo call", "Only a purchase shows whether its signatures verify.")]
    text = str(answer.member("message") or "")
    if "Wechatpay-Serial" in text:
        return [
            wrong(
                about, answer.refusal, "WeChat Pay knows no such key of this merchant: copy WECHAT_PAY_PUBLIC_KEY_ID."
            )
        ]
    if answer.status != 200:
        todo = f"What we encrypt to {serial} WeChat Pay cannot open: the PEM and the id are not of one key."
        return [wrong(about, answer.refusal, todo)]
    why = flaw(answer, keyring)
    if why is not None:
        todo = "Download WeChat Pay's public key and its id again, both from the merchant platform."
        return [wrong(about, f"the answer cannot be believed: {why}", todo)]
    found = [ok(about, "what WeChat Pay signs with it verifies, and it opens what we encrypt to it")]
    returned = answer.member("encrypted_echo_message")
    if returned and wire.opened(str(returned)) != message:
        todo = "WECHAT_PAY_PRIVATE_KEY and the API certificate at WeChat Pay are not one pair."
        found.append(wrong("private key", "it does not open what WeChat Pay encrypts to our certificate", todo))
    return found


async def _may_ask(wire: Wire, merchant: Merchant) -> Finding:
    """A query for a number that cannot exist: 404 says that payments are open for us."""
    about, number = "payments", f"doctor{secrets.token_hex(10)}"
    path = f"{merchant.dialect.charges}/out-trade-no/{number}?{urlencode(merchant.numbers())}"
    try:
        answer = await wire.ask("GET", path)
    except Unreached as error:
        return wrong(about, f"no answer to a query: {error}", "Look again; if it stays, see the way to WeChat Pay.")
    if answer.status == 404:
        return ok(about, "this merchant may ask about payments")
    return wrong(
        about, answer.refusal, "See in the merchant platform whether the payment product is open and unrestricted."
    )
