"""Somebody who can sign and seal anything, and a shop that believes it."""

from liar import Liar, liar

__all__ = ["Liar", "liar"]
