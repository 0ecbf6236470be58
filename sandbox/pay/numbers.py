"""Numbers that look like WeChat's, from business time and chance."""

import secrets
from base64 import b64encode
from datetime import datetime

from sandbox.clock import BEIJING, day


def _digits(count: int) -> str:
    return f"{secrets.randbelow(10**count):0{count}d}"


def transaction_id(moment: float) -> str:
    """28 digits: ``4200``, six more, the day, ten more."""
    return f"4200{_digits(6)}{day(moment)}{_digits(10)}"


def refund_id(moment: float) -> str:
    """29 digits: ``503``, seven more, the day, eleven more."""
    return f"503{_digits(7)}{day(moment)}{_digits(11)}"


def transfer_bill_no(moment: float) -> str:
    """40 digits: ``133``, nineteen more, the day, ten more."""
    return f"133{_digits(19)}{day(moment)}{_digits(10)}"


def share_id(moment: float) -> str:
    """28 digits: ``3008``, six more, the day, ten more."""
    return f"3008{_digits(6)}{day(moment)}{_digits(10)}"


def share_detail_id() -> str:
    """23 digits: ``36`` and chance."""
    return f"36{_digits(21)}"


def package_info() -> str:
    """What ``wx.requestMerchantTransfer`` is handed: opaque Base64."""
    return b64encode(secrets.token_bytes(48)).decode()


def prepay_id(moment: float) -> str:
    """36 characters: ``wx``, day and time of day, hex digits, four zeros."""
    stamp = datetime.fromtimestamp(moment, BEIJING).strftime("%d%H%M%S%f")
    return f"wx{stamp}{secrets.token_hex(8)}0000"


def code() -> str:
    """The tail of a Native code, nine characters."""
    return secrets.token_urlsafe(12).replace("-", "x").replace("_", "y")[:9]


def request_id(number: int) -> str:
    """``08…-0`` when all went well, else with WeChat's internal error number behind the last dash."""
    tail = "0" if number == 0 else str(-number)
    return f"08{secrets.token_hex(22).upper()}-{tail}"
