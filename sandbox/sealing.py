"""The cryptography of WeChat Pay API v3, WeChat's side of it.

Signatures are RSASSA-PKCS1-v1_5 with SHA-256 in standard Base64; resources are sealed with AEAD_AES_256_GCM.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def request_text(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What a merchant signs: five lines, each ended by LF; the target is exactly what stood on the request line."""
    head = f"{method}\n{target}\n{timestamp}\n{nonce}\n"
    return (
        head.encode("latin-1", "replace") + body + b"\n"
    )  # headers and targets were read as latin-1: the same bytes again


def answer_text(timestamp: str, nonce: str, body: bytes) -> bytes:
    """What WeChat signs in answers and notifications: three lines, each ended by LF."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def sign(key: RSAPrivateKey, text: bytes) -> str:
    """The Base64 of the signature."""
    return b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def unbase64(text: str) -> bytes | None:
    """The bytes, if ``text`` is standard Base64."""
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None


def verifies(key: RSAPublicKey, text: bytes, signature: str) -> bool:
    """Whether ``signature`` is the owner's over ``text``."""
    try:
        key.verify(b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, NotBase64, ValueError):
        return False
    return True


def seal(apiv3_key: str, nonce: str, associated_data: str, plaintext: bytes) -> str:
    """Encrypt to the merchant; the last 16 bytes before Base64 are the tag."""
    return b64encode(AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plaintext, associated_data.encode())).decode()
