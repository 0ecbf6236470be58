"""The settings a merchant's program needs to live in this world, as shell-style lines."""

import shlex

from sandbox import files
from sandbox.world import World


def write(world: World) -> None:
    """Write ``merchant.env`` into the data folder, whole or not at all, for its owner only."""
    identity = world.keys.identity
    settings = {
        "WECHAT_API_URL": world.base_url,
        "WECHAT_APP_ID": identity.app_id,
        "WECHAT_APP_SECRET": identity.app_secret,
        "WECHAT_PAY_URL": world.base_url,
        "WECHAT_PAY_MCH_ID": identity.mch_id,
        "WECHAT_PAY_CERT_SERIAL": world.keys.merchant_serial,
        "WECHAT_PAY_PRIVATE_KEY": str(world.folder / "merchant_key.pem"),
        "WECHAT_PAY_APIV3_KEY": identity.apiv3_key,
        "WECHAT_PAY_PUBLIC_KEY": str(world.folder / "wechatpay_public_key.pem"),
        "WECHAT_PAY_PUBLIC_KEY_ID": identity.public_key_id,
        "WECHAT_PAY_KEY_MODE": world.knobs.key_mode,
    }
    if identity.sub_mch_id and identity.sub_app_id:
        settings |= {"WECHAT_PAY_SUB_MCH_ID": identity.sub_mch_id, "WECHAT_PAY_SUB_APP_ID": identity.sub_app_id}
    if identity.region != "cn":
        settings |= {"WECHAT_PAY_REGION": identity.region, "WECHAT_PAY_CURRENCY": identity.currency}
        settings["WECHAT_PAY_MERCHANT_CATEGORY_CODE"] = identity.merchant_category_code or ""
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    files.replace(world.folder / "merchant.env", lines)
