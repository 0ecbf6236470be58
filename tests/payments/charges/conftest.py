"""Somebody who can sign and seal anything, and payers who are ordinary again after each test of payment codes."""

from liar import Liar, liar
from payment_codes import ordinary

__all__ = ["Liar", "liar", "ordinary"]
