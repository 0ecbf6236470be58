"""Passwords of the staff: Argon2id, in threads, a few at a time.

One hash takes tens of milliseconds and 64 MiB by design. In the event loop it would hold up every buyer; without a
bound a burst of sign-ins would take the memory.
"""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE = 2


class Passwords:
    """`hasher` carries the cost; its defaults are RFC 9106's low-memory ones."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        async with self._few:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. Without a hash (an unknown login) the same work is done, for the answer no."""
        async with self._few:
            matches = await asyncio.to_thread(self._matches, password_hash, password)
        return matches and password_hash is not None

    def _matches(self, password_hash: str | None, password: str) -> bool:
        if self._nobodys is None:  # made by whoever comes first, known or not, so that it tells nothing
            self._nobodys = self._hasher.hash(secrets.token_urlsafe(16))
        try:
            return self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False


def generate() -> str:
    """A password for someone to write down once: 96 bits."""
    return secrets.token_urlsafe(12)
