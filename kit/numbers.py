"""The numbers (`no`) by which orders, payments and refunds are known outside."""

import hashlib
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 14  # 83 bits: nobody guesses one
_DERIVED_DIGITS = 31


def _base62(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_no(prefix: str) -> str:
    """A fresh number: prefix, 8 digits of time (ms, sorts by ASCII), 14 random ones; `[0-9A-Za-z]`, at most 24 long.

    Fits WeChat Pay's `out_trade_no` (6 to 32 characters) and `out_refund_no`.
    """
    if len(prefix) > 2 or not prefix.isalnum():
        raise ValueError("a prefix of one or two letters")
    return prefix + _base62(time.time_ns() // 1_000_000, 8) + _base62(secrets.randbits(83), _RANDOM_DIGITS)


def derived_no(prefix: str, *parts: str) -> str:
    """The number that belongs to `parts`, always the same: prefix and 31 digits (184 bits) of their SHA-256.

    For what must never be done twice: whoever asks for the same thing names it alike.
    """
    if len(prefix) != 1 or not prefix.isalnum():
        raise ValueError("a prefix of one letter")
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return prefix + _base62(int.from_bytes(digest) % 62**_DERIVED_DIGITS, _DERIVED_DIGITS)


def new_nonce() -> str:
    """32 hexadecimal digits."""
    return secrets.token_hex(16)
