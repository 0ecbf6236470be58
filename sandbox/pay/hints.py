"""Why a signature is wrong: the usual mistakes are tried, and the one that fits is named."""

import json
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox import sealing
from sandbox.pay.exchange import Call
from sandbox.world import World

REAL_HOST = "api.mch.weixin.qq.com"


class Credentials(Protocol):
    """What an Authorization header says."""

    @property
    def mchid(self) -> str: ...
    @property
    def nonce_str(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def serial_no(self) -> str: ...


def why(world: World, call: Call, who: Credentials) -> str:
    """A sentence for the developer."""
    return _stranger(world, who) or _other_text(world, call, who) or _other_key(world, call, who)


def of_header(header: str) -> str:
    """What is usually wrong with an Authorization header that cannot be read."""
    if not header:
        return "There is no Authorization header."
    if "'" in header:
        return "The values stand in double quotes, not single ones."
    if header.startswith(("Bearer ", "Basic ")):
        return "Something else wrote its own Authorization header over yours (a proxy, a .netrc file)."
    names = ("mchid", "nonce_str", "signature", "timestamp", "serial_no")
    missing = [name for name in names if f"{name}=" not in header]
    if missing:
        return f"The Authorization header lacks {', '.join(missing)}."
    stamp = header.partition('timestamp="')[2].partition('"')[0]
    if stamp.isdigit() and len(stamp) >= 13:
        return "The timestamp is in milliseconds: send, and sign, whole seconds."
    return 'Five items key="value" with commas between them, after the scheme and one space.'


def of_clock(behind_s: float) -> str:
    """What is usually wrong with a timestamp."""
    if abs(behind_s) > 10**9:
        return "The timestamp is not seconds since 1970 (milliseconds?)."
    direction = "behind" if behind_s > 0 else "ahead of"
    return f"The timestamp is {abs(behind_s):.0f} seconds {direction} this machine's clock; signatures carry wall time."


def _stranger(world: World, who: Credentials) -> str | None:
    keys = world.keys
    if who.mchid != keys.identity.mch_id:
        return f"Unknown mchid; this world's merchant is {keys.identity.mch_id}."
    if who.serial_no == keys.merchant_serial:
        return None
    if who.serial_no.upper() == keys.merchant_serial:
        return "The serial_no is right but for its letters: write them in upper case."
    if who.serial_no in keys.platforms or who.serial_no == keys.identity.public_key_id:
        return "The serial_no is that of WeChat's key; it must be the merchant certificate's."
    return f"Unknown serial_no; the merchant certificate's is {keys.merchant_serial}."


def _other_text(world: World, call: Call, who: Credentials) -> str | None:
    key = world.keys.merchant.public_key()
    right = sealing.request_text(call.method, call.target, who.timestamp, who.nonce_str, call.raw)
    for explanation, text in _mistakes(call, who, right):
        if text != right and sealing.verifies(key, text, who.signature):
            return explanation
    return None


def _mistakes(call: Call, who: Credentials, right: bytes) -> Iterator[tuple[str, bytes]]:
    def text(
        method: str = call.method, target: str = call.target, body: bytes = call.raw, stamp: str = who.timestamp
    ) -> bytes:
        return sealing.request_text(method, target, stamp, who.nonce_str, body)

    yield (
        "The signature fits without the query string: sign path and query as on the request line.",
        text(target=call.path),
    )
    yield "The signature fits an empty body: sign the very bytes that are sent.", text(body=b"")
    unquoted = unquote(call.target)
    yield "The signature fits the path before percent-encoding: encode first, then sign.", text(target=unquoted)
    yield "The signature fits the body without its surrounding white space.", text(body=call.raw.strip())
    yield (
        "The signature fits without the final line feed: each of the five lines ends in one, the last too.",
        right[:-1],
    )
    yield "The signature fits with CRLF line ends: they are LF.", right.replace(b"\n", b"\r\n")
    yield "The signature fits the method in lower case: it is signed in upper case.", text(method=call.method.lower())
    for host in (call.headers.get("host", ""), REAL_HOST):
        for start in (f"http://{host}", f"https://{host}", host):
            yield (
                "The signature fits with the host in the path: sign from the first slash after it.",
                text(target=start + call.target),
            )
    yield "The signature fits the path without its leading slash.", text(target=call.target.removeprefix("/"))
    swapped = sealing.request_text(call.method, call.target, who.nonce_str, who.timestamp, call.raw)
    yield "The signature fits with timestamp and nonce changed for each other.", swapped
    yield (
        "The signature fits the timestamp in milliseconds: sign what the header says.",
        text(stamp=f"{who.timestamp}000"),
    )
    again = "The signature fits the same JSON written in another way ({}): sign the very bytes that are sent."
    for how, body in _rewritten(call.raw):
        yield again.format(how), text(body=body)


def _rewritten(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The body as other JSON writers would have put it."""
    try:
        content: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return
    for separators, spaces in (((",", ":"), "no spaces"), ((", ", ": "), "spaces after commas and colons")):
        for escaped, letters in ((True, "ASCII escapes"), (False, "plain UTF-8")):
            for order, members in ((False, "members in their order"), (True, "members sorted")):
                text = json.dumps(content, ensure_ascii=escaped, separators=separators, sort_keys=order)
                yield f"{spaces}, {letters}, {members}", text.encode("utf-8", "surrogatepass")
                slashed = text.replace("/", "\\/")
                yield f"{spaces}, {letters}, {members}, slashes escaped", slashed.encode("utf-8", "surrogatepass")
    for indent in (2, 4):
        yield (
            f"indented by {indent}",
            json.dumps(content, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass"),
        )


def _other_key(world: World, call: Call, who: Credentials) -> str:
    keys = world.keys
    text = sealing.request_text(call.method, call.target, who.timestamp, who.nonce_str, call.raw)
    for theirs in (keys.public_key, keys.platform):
        if sealing.verifies(theirs.public_key(), text, who.signature):
            return "Signed with a key of WeChat's: sign with the merchant's private key (apiclient_key.pem)."
    signature = sealing.unbase64(who.signature)
    if signature is None:
        return "The signature is not standard Base64 (no line breaks, no URL alphabet)."
    if len(signature) != keys.merchant.key_size // 8:
        return f"The signature has {len(signature)} bytes; one of the merchant's key has {keys.merchant.key_size // 8}: another key."
    if _made_by(keys.merchant.public_key(), signature, hashes.SHA256()):
        return "The right key over another text: method, path, query, timestamp, nonce or body were not what was sent."
    if _made_by(keys.merchant.public_key(), signature, hashes.SHA1()):  # noqa: S303 - to be found out
        return "The right key with SHA-1: the digest is SHA-256."
    return (
        "Another key (another merchant's, or one before a change of certificates), or a padding other than PKCS#1 v1.5."
    )


def _made_by(key: RSAPublicKey, signature: bytes, digest: hashes.HashAlgorithm) -> bool:
    """Whether the key's owner made it, whatever the text was."""
    try:
        key.recover_data_from_signature(signature, padding.PKCS1v15(), digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
