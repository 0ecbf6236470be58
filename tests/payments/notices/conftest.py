"""Somebody who can sign and seal anything, and a shop that believes it."""

from test_attacks_notices import Liar, liar

__all__ = ["Liar", "liar"]
