"""Production names everything that is missing or weak, at once; dev finds what it lacks in the data folder."""

import dataclasses
from pathlib import Path

import pytest

from shop import settings
from shop.settings import BadSettings, Settings


def test_production_names_all_that_is_missing_at_once() -> None:
    with pytest.raises(BadSettings) as refused:
        settings.read({"SHOP_ENV": "production"})
    for name in (
        "DATABASE_URL",
        "SHOP_PUBLIC_URL",
        "WECHAT_APP_ID",
        "WECHAT_APP_SECRET",
        "WECHAT_PAY_MCH_ID",
        "WECHAT_PAY_CERT_SERIAL",
        "WECHAT_PAY_PRIVATE_KEY",
        "WECHAT_PAY_APIV3_KEY",
        "WECHAT_PAY_PUBLIC_KEY",
        "WECHAT_PAY_PUBLIC_KEY_ID",
    ):
        assert any(mistake.startswith(f"{name} ") for mistake in refused.value.mistakes), name


def _production(unconnected: Settings, **changed: str) -> dict[str, str]:
    pay = unconnected.pay
    return {
        "SHOP_ENV": "production",
        "DATABASE_URL": "postgresql://shop:long-enough-password@db/shop",
        "SHOP_PUBLIC_URL": "https://shop.example.com",
        "WECHAT_APP_ID": "wx1234567890abcdef",
        "WECHAT_APP_SECRET": "0123456789abcdef0123456789abcdef",
        "WECHAT_PAY_MCH_ID": "1900000001",
        "WECHAT_PAY_CERT_SERIAL": pay.cert_serial,
        "WECHAT_PAY_PRIVATE_KEY": pay.private_key,
        "WECHAT_PAY_APIV3_KEY": "0123456789abcdef0123456789abcdef",
        "WECHAT_PAY_PUBLIC_KEY": pay.public_key or "",
        "WECHAT_PAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000011112026010100111122003344",
        **changed,
    }


def test_a_whole_production_environment_is_taken(unconnected: Settings) -> None:
    found = settings.read(_production(unconnected))
    assert found.production
    assert found.pay.url == "https://api.mch.weixin.qq.com"


def test_production_limits_everybody_and_drains_unless_it_is_told_otherwise(unconnected: Settings) -> None:
    found = settings.read(_production(unconnected))
    assert None not in vars(found.limits).values()
    assert found.drain_s > 0
    told = {"SHOP_LIMIT_MEMBER": "0.5/7", "SHOP_LIMIT_STAFF": "none", "SHOP_DRAIN_S": "0"}
    otherwise = settings.read(_production(unconnected, **told))
    assert otherwise.limits == dataclasses.replace(found.limits, member=(0.5, 7), staff=None)
    assert otherwise.drain_s == 0


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("WECHAT_PAY_APIV3_KEY", "short", "32 bytes"),
        ("WECHAT_PAY_PUBLIC_KEY_ID", "PUB_KEY_ID_0000000000000001", "simulated"),
        ("WECHAT_PAY_URL", "http://127.0.0.1:8001", "https"),
        ("WECHAT_API_URL", "https://localhost:8001", "this machine"),
        ("SHOP_PUBLIC_URL", "http://shop.example.com", "https"),
        ("DATABASE_URL", "postgresql://shop@db/shop", "password"),
        ("DATABASE_URL", "mysql://shop:long-enough-password@db/shop", "begins with"),
        ("DATABASE_URL", "postgresql://shop:long-enough-password@a,b/shop", "target_session_attrs=primary"),
        ("DATABASE_URL", "postgresql://shop:long-enough-password@a,b/shop?target_session_attrs=any", "primary"),
        ("DATABASE_URL", "postgresql://shop:long-enough-password@a:5432,b:54x2/shop", "54x2"),
        ("DATABASE_URL", "postgresql://shop:long-enough-password@a,,b/shop?target_session_attrs=primary", "none"),
        ("DATABASE_REPLICA_URL", "postgresql://shop:pw@a/shop?target_session_attrs=primary", "standby"),
        ("DATABASE_POOLER", "session", "transaction or none"),
        ("SHOP_DRAIN_S", "soon", "seconds"),
        ("SHOP_LIMIT_MEMBER", "20", "like 20/100"),
        ("SHOP_LIMIT_MEMBER", "0/100", "like 20/100"),
        ("SHOP_LIMIT_MEMBER", "20/0", "like 20/100"),
        ("WECHAT_APP_SECRET", "abc", "32 characters"),
        ("WECHAT_PAY_PRIVATE_KEY", "/nowhere/key.pem", "file"),
        ("WECHAT_PAY_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----", "PEM"),
        ("WECHAT_PAY_KEY_MODE", "none", "one of"),
        ("SHOP_PORT", "99999", "port"),
        ("SHOP_ENV", "staging", "production"),
    ],
)
def test_a_weak_value_is_named_with_its_rule(unconnected: Settings, name: str, value: str, word: str) -> None:
    with pytest.raises(BadSettings) as refused:
        settings.read(_production(unconnected, **{name: value}))
    assert any(mistake.startswith(name) and word in mistake for mistake in refused.value.mistakes)


def test_several_hosts_and_a_pooler_are_taken(unconnected: Settings) -> None:
    hosts = "postgresql://shop:long-enough-password@a:6432,b:6432/shop?target_session_attrs=primary"
    direct = hosts.replace("6432", "5432")
    pooled = {"DATABASE_URL": hosts, "DATABASE_POOLER": "transaction"}
    found = settings.read(_production(unconnected, **pooled, DATABASE_DIRECT_URL=direct))
    assert (found.database_url, found.database_direct_url, found.database_owner_url) == (hosts, direct, direct)
    with pytest.raises(BadSettings) as refused:
        settings.read(_production(unconnected, **pooled))
    assert any(mistake.startswith("DATABASE_DIRECT_URL") for mistake in refused.value.mistakes)


def test_secrets_are_not_in_the_repr(unconnected: Settings) -> None:
    found = settings.read(_production(unconnected))
    shown = repr(found)
    for secret in ("PRIVATE KEY", "0123456789abcdef0123456789abcdef", "long-enough-password"):
        assert secret not in shown


def test_each_upstream_comes_from_the_sandbox_by_itself(tmp_path: Path, unconnected: Settings) -> None:
    """Pay at an independent gateway, the platform in the sandbox: none of the sandbox's pay keys are mixed in."""
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "database.env").write_text("DATABASE_URL=postgresql://a:b@127.0.0.1:1/shop\n")
    (tmp_path / "sandbox" / "merchant.env").write_text(
        "WECHAT_API_URL=http://127.0.0.1:8001\nWECHAT_APP_ID=wx0000000000000001\nWECHAT_APP_SECRET=s\n"
        "WECHAT_PAY_URL=http://127.0.0.1:8001\nWECHAT_PAY_MCH_ID=sandbox\nWECHAT_PAY_CERT_SERIAL=sandbox\n"
    )
    pay = unconnected.pay
    given = {
        "SHOP_DATA_DIR": str(tmp_path),
        "WECHAT_PAY_URL": "http://127.0.0.1:7777",
        "WECHAT_PAY_MCH_ID": "1900009999",
        "WECHAT_PAY_CERT_SERIAL": "A" * 40,
        "WECHAT_PAY_PRIVATE_KEY": pay.private_key,
        "WECHAT_PAY_APIV3_KEY": "0" * 32,
        "WECHAT_PAY_PUBLIC_KEY": pay.public_key or "",
        "WECHAT_PAY_PUBLIC_KEY_ID": "PUB_KEY_ID_01",
    }
    found = settings.read(given)
    assert (found.wechat.app_id, found.pay.mch_id) == ("wx0000000000000001", "1900009999")
    del given["WECHAT_PAY_CERT_SERIAL"]
    with pytest.raises(BadSettings, match="WECHAT_PAY_CERT_SERIAL is missing"):
        settings.read(given)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"WECHAT_PAY_SUB_APP_ID": "wxsub"}, "needs WECHAT_PAY_SUB_MCH_ID"),
        ({"WECHAT_PAY_APP_ID": "wxother"}, "must be WECHAT_APP_ID"),
        ({"WECHAT_PAY_SUB_MCH_ID": "1900000001"}, "another merchant"),
        ({"WECHAT_PAY_SUB_MCH_ID": "1900000009", "WECHAT_PAY_APP_ID": "wxother"}, "people pay in the Mini Program"),
        ({"WECHAT_PAY_REGION": "mars"}, "one of cn, global"),
        ({"WECHAT_PAY_CURRENCY": "HKD"}, "must be CNY"),
        ({"WECHAT_PAY_MERCHANT_CATEGORY_CODE": "4111"}, "only for WECHAT_PAY_REGION=global"),
        ({"WECHAT_PAY_URL": "https://apihk.mch.weixin.qq.com"}, "of overseas merchants"),
        ({"WECHAT_PAY_REGION": "global", "WECHAT_PAY_MERCHANT_CATEGORY_CODE": "4111"}, "WECHAT_PAY_CURRENCY"),
        ({"WECHAT_PAY_REGION": "global", "WECHAT_PAY_CURRENCY": "hk"}, "three letters"),
        ({"WECHAT_PAY_REGION": "global", "WECHAT_PAY_CURRENCY": "HKD"}, "four digits"),
        ({"WECHAT_PAY_REGION": "global", "WECHAT_PAY_URL": "https://api.mch.weixin.qq.com"}, "of domestic merchants"),
    ],
)
def test_kinds_of_merchants_do_not_contradict_themselves(
    unconnected: Settings, changed: dict[str, str], word: str
) -> None:
    with pytest.raises(BadSettings) as refused:
        settings.read(_production(unconnected, **changed))
    assert any(word in mistake for mistake in refused.value.mistakes), refused.value.mistakes


def test_a_partner_and_an_overseas_merchant_are_settings(unconnected: Settings) -> None:
    partner = settings.read(
        _production(
            unconnected,
            WECHAT_PAY_SUB_MCH_ID="1900000009",
            WECHAT_PAY_SUB_APP_ID="wx1234567890abcdef",
            WECHAT_PAY_APP_ID="wxpartner",
        )
    )
    assert (partner.pay.app_id, partner.pay.sub_app_id) == ("wxpartner", partner.wechat.app_id)
    overseas = settings.read(
        _production(
            unconnected,
            WECHAT_PAY_REGION="global",
            WECHAT_PAY_CURRENCY="HKD",
            WECHAT_PAY_MERCHANT_CATEGORY_CODE="4111",
        )
    )
    assert (overseas.pay.url, overseas.pay.currency) == ("https://apihk.mch.weixin.qq.com", "HKD")
