"""Private keys, read once for each process and its children: to prove that a key is whole costs a thirtieth of a second."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@cache
def private_key(pem: str) -> PrivateKeyTypes:
    """The key in `pem`, which has no password. Raises ValueError, TypeError or UnsupportedAlgorithm."""
    return load_pem_private_key(pem.encode(), None)
