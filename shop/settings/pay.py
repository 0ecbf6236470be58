"""The merchant's account on WeChat Pay: whose, where, and by which keys; what contradicts itself is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from shop.settings.reading import Reader, check_key

KEY_MODES: Final = ("public_key", "certificate", "both")
HOSTS: Final = {"cn": "api.mch.weixin.qq.com", "global": "apihk.mch.weixin.qq.com"}


@dataclass(frozen=True, kw_only=True)
class PaySettings:
    """The merchant's account on WeChat Pay."""

    url: str
    mch_id: str
    cert_serial: str
    private_key: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    apiv3_key_before: str | None = field(repr=False, default=None)
    """What was sealed with it while it was exchanged still opens."""
    public_key: str | None = field(repr=False)
    public_key_id: str | None
    key_mode: str
    app_id: str
    """Bound to `mch_id`: a partner's own; else the Mini Program's."""
    sub_mch_id: str | None = None
    """The money is this merchant's, for whom `mch_id` collects as a partner."""
    sub_app_id: str | None = None
    region: str = "cn"
    currency: str = "CNY"
    merchant_category_code: str | None = None


def read(reader: Reader, app_id: str) -> PaySettings:
    """The account of the merchant; `app_id` is the Mini Program's, in which people pay."""
    mode = reader.text("WECHAT_PAY_KEY_MODE", default="public_key")
    if mode not in KEY_MODES:
        reader.mistakes.append(f"WECHAT_PAY_KEY_MODE must be one of {', '.join(KEY_MODES)}, not {mode!r}")
    public_key = public_key_id = None
    if mode != "certificate":
        public_key = reader.pem("WECHAT_PAY_PUBLIC_KEY", why="WeChat Pay's public key, to verify what it says")
        public_key_id = reader.text("WECHAT_PAY_PUBLIC_KEY_ID", why="PUB_KEY_ID_…")
        check_key(reader, "WECHAT_PAY_PUBLIC_KEY", public_key)
    private_key = reader.pem("WECHAT_PAY_PRIVATE_KEY", why="the merchant's apiclient_key.pem")
    check_key(reader, "WECHAT_PAY_PRIVATE_KEY", private_key)
    apiv3_key = reader.text("WECHAT_PAY_APIV3_KEY", why="32 characters from the merchant platform")
    if apiv3_key and len(apiv3_key.encode()) != 32:
        reader.mistakes.append(f"WECHAT_PAY_APIV3_KEY must be 32 bytes, not {len(apiv3_key.encode())}")
    apiv3_key_before = reader.maybe("WECHAT_PAY_APIV3_KEY_BEFORE")
    if apiv3_key_before and len(apiv3_key_before.encode()) != 32:
        reader.mistakes.append(f"WECHAT_PAY_APIV3_KEY_BEFORE must be 32 bytes, not {len(apiv3_key_before.encode())}")
    region = reader.text("WECHAT_PAY_REGION", default="cn")
    if region not in HOSTS:
        reader.mistakes.append(f"WECHAT_PAY_REGION must be one of {', '.join(HOSTS)}, not {region!r}")
    settings = PaySettings(
        url=reader.url(
            "WECHAT_PAY_URL", default=f"https://{HOSTS.get(region, HOSTS['cn'])}", schemes=("http", "https")
        ),
        mch_id=reader.text("WECHAT_PAY_MCH_ID", why="the merchant number"),
        cert_serial=reader.text("WECHAT_PAY_CERT_SERIAL", why="serial of the merchant's API certificate"),
        private_key=private_key,
        apiv3_key=apiv3_key,
        apiv3_key_before=apiv3_key_before,
        public_key=public_key,
        public_key_id=public_key_id,
        key_mode=mode,
        app_id=reader.text("WECHAT_PAY_APP_ID", default=app_id),
        sub_mch_id=reader.maybe("WECHAT_PAY_SUB_MCH_ID"),
        sub_app_id=reader.maybe("WECHAT_PAY_SUB_APP_ID"),
        region=region,
        currency=reader.text("WECHAT_PAY_CURRENCY", default="CNY"),
        merchant_category_code=reader.maybe("WECHAT_PAY_MERCHANT_CATEGORY_CODE"),
    )
    reader.mistakes += [*_sub_merchant(settings, app_id), *_overseas(settings)]
    return settings


def _sub_merchant(pay: PaySettings, app_id: str) -> Iterator[str]:
    """What contradicts itself of a partner, or of a direct merchant."""
    if pay.sub_mch_id is None:
        if pay.sub_app_id is not None:
            yield "WECHAT_PAY_SUB_APP_ID needs WECHAT_PAY_SUB_MCH_ID: only a partner has sub-merchants"
        if pay.app_id != app_id:
            yield "WECHAT_PAY_APP_ID must be WECHAT_APP_ID, unless a partner collects (WECHAT_PAY_SUB_MCH_ID)"
        return
    if pay.sub_mch_id == pay.mch_id:
        yield "WECHAT_PAY_SUB_MCH_ID is WECHAT_PAY_MCH_ID: a partner collects for another merchant"
    if app_id not in {pay.app_id, pay.sub_app_id}:
        yield (
            "WECHAT_APP_ID must be WECHAT_PAY_APP_ID (the partner's) or WECHAT_PAY_SUB_APP_ID (the sub-merchant's):"
            " people pay in the Mini Program"
        )


def _overseas(pay: PaySettings) -> Iterator[str]:
    """What contradicts itself of a region."""
    host = urlsplit(pay.url).hostname
    if pay.region == "cn":
        if pay.currency != "CNY":
            yield f"WECHAT_PAY_CURRENCY must be CNY where WECHAT_PAY_REGION is cn, not {pay.currency!r}"
        if pay.merchant_category_code is not None:
            yield "WECHAT_PAY_MERCHANT_CATEGORY_CODE is only for WECHAT_PAY_REGION=global"
        if host == HOSTS["global"]:
            yield "WECHAT_PAY_URL is of overseas merchants, and WECHAT_PAY_REGION is cn"
    if pay.region == "global":
        if not re.fullmatch(r"[A-Z]{3}", pay.currency, re.ASCII) or pay.currency == "CNY":
            yield "WECHAT_PAY_CURRENCY must be the merchant's own, in three letters (HKD), where the region is global"
        if not re.fullmatch(r"[0-9]{4}", pay.merchant_category_code or "", re.ASCII):
            yield "WECHAT_PAY_MERCHANT_CATEGORY_CODE must be four digits where the region is global"
        if host == HOSTS["cn"]:
            yield "WECHAT_PAY_URL is of domestic merchants, and WECHAT_PAY_REGION is global"
