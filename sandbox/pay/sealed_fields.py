"""Sensitive members: RSAES-OAEP with SHA-1, to WeChat's key going up, to the merchant's coming down."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sandbox.pay.exchange import Call
from sandbox.pay.refusals import param_error
from sandbox.world import World

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - WeChat's choice


def check(world: World, call: Call, paths: tuple[str, ...]) -> None:
    """Open those members of ``call.json`` that are there, and put the plain texts into ``call.opened``.

    Raises a PARAM_ERROR when no ``Wechatpay-Serial`` says which key was used, when it is none of ours, or when the key
    does not open them.
    """
    for pattern in paths:
        for path, value in _found(call.json, pattern.strip("/").split("/"), ""):
            call.opened[path] = _open(key_named(world, call), path, value)


def _found(value: object, names: list[str], path: str) -> Iterator[tuple[str, str]]:
    """The texts that a path leads to; ``*`` leads into every item of an array."""
    if not names:
        if isinstance(value, str):
            yield path, value
    elif names[0] == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found(item, names[1:], f"{path}/{index}")
    elif isinstance(value, dict) and names[0] in value:
        yield from _found(value[names[0]], names[1:], f"{path}/{names[0]}")


def key_named(world: World, call: Call) -> RSAPrivateKey:
    """WeChat's key that the request's ``Wechatpay-Serial`` names, among those this merchant has."""
    serial, mode = call.headers.get("wechatpay-serial"), world.knobs.key_mode
    if not serial:
        raise param_error("HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)", location=None)
    if mode != "certificate" and serial == world.keys.identity.public_key_id:
        return world.keys.public_key
    if mode != "public_key" and serial in world.keys.platforms:
        return world.keys.platforms[serial][0]
    raise param_error("平台证书序列号Wechatpay-Serial错误", location=None)


def to_merchant(world: World, text: str) -> str:
    """Encrypt for the merchant certificate."""
    return b64encode(world.keys.merchant.public_key().encrypt(text.encode(), OAEP)).decode()


def _open(key: RSAPrivateKey, path: str, value: str) -> str:
    try:
        return key.decrypt(b64decode(value, validate=True), OAEP).decode()
    except (NotBase64, ValueError):
        raise param_error("敏感信息字段解密失败，请检查加密所用的公钥", field=path, value=value) from None
