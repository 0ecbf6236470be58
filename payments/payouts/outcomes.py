"""What an answer that is no answer means for the same number."""

from payments.wechatpay.gateway import Refused, Unknown

LATER = frozenset({"FREQUENCYLIMITED", "RATELIMITEXCEEDED", "SIGNERROR", "SYSTEMERROR", "RATELIMIT"})
"""Refusals that pass: the same number is tried again later."""
NOT_ENOUGH = "NOTENOUGH"
"""The merchant's balance is too small: it may grow. (Of a share: more than is left of the payment, which stays so.)"""


def passes(error: Refused | Unknown) -> bool:
    """Is it to be tried again under the same number? 401 is ours to mend: keys, serial, clock. A no without a code may be
    a proxy's, about a call that was done."""
    return isinstance(error, Unknown) or error.code in LATER or error.status == 401 or error.is_wordless
