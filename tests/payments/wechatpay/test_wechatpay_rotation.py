"""Platform certificates that change while we run: the new ones are fetched, and nobody can make us fetch."""

import asyncio
import json
import time
from base64 import b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from false_wechat import FalseWeChat, platform

from payments.wechatpay import sealing
from payments.wechatpay.gateway import Refused, Unknown

TRADE = {"out_trade_no": "P00000001", "trade_state": "NOTPAY", "mchid": "1900000109", "appid": "wx0123456789abcdef"}


class TestRotation:
    """Certificates that change while we run."""

    async def test_an_answer_with_a_new_serial_has_them_fetched_once(self, older_wechat: FalseWeChat) -> None:
        old, new = platform("old"), platform("new")
        older_wechat.offered = [old]
        older_wechat.say(TRADE, by=old)
        assert await older_wechat.gateway.query("P00000001") is not None  # not even one was known
        assert older_wechat.asked_for_certificates() == 1
        _an_hour_later(older_wechat)
        older_wechat.offered = [old, new]
        older_wechat.say(TRADE, by=new)
        answers = await asyncio.gather(*(older_wechat.gateway.query("P00000001") for _ in range(20)))
        assert all(answers)
        assert older_wechat.asked_for_certificates() == 2  # twenty at once wait for one download
        for one in (old, new):
            older_wechat.say(TRADE, by=one)
            assert await older_wechat.gateway.query("P00000001") is not None
        older_wechat.offered = [new]
        await older_wechat.gateway.refresh_keys()
        older_wechat.say(TRADE, by=old)
        with pytest.raises(Unknown):
            await older_wechat.gateway.query("P00000001")

    async def test_forged_serials_cost_one_download_a_minute_at_most(self, older_wechat: FalseWeChat) -> None:
        old = platform("old")
        older_wechat.offered = [old]
        older_wechat.say(TRADE, by=platform("of a stranger"))
        for _ in range(5):
            with pytest.raises(Unknown):
                await older_wechat.gateway.query("P00000001")
        assert older_wechat.asked_for_certificates() == 1
        older_wechat.say(TRADE, by=old)
        assert await older_wechat.gateway.query("P00000001") is not None

    async def test_a_merchant_with_only_a_public_key_asks_for_none(self, false_wechat: FalseWeChat) -> None:
        false_wechat.offered = [platform("old")]
        false_wechat.say(TRADE, by=platform("old"))
        with pytest.raises(Unknown):
            await false_wechat.gateway.query("P00000001")
        assert false_wechat.asked_for_certificates() == 0

    async def test_both_kinds_are_good_in_the_week_of_migration(self) -> None:
        wechat, old = FalseWeChat(certificates=True), platform("old")
        wechat.offered = [old]
        for by in (None, old, None):
            wechat.say(TRADE, by=by)
            assert await wechat.gateway.query("P00000001") is not None
        await wechat.gateway.close_connections()
        wechat.close()

    @pytest.mark.parametrize(
        "spoil",
        [
            "another key",
            "unsigned",
            "signed by one not listed",
            "replayed",
            "expired",
            "none",
            "junk",
            "wrong serial",
            "500",
            "another algorithm",
        ],
    )
    async def test_a_list_that_is_not_wholly_good_changes_nothing(self, older_wechat: FalseWeChat, spoil: str) -> None:
        old, new = platform("old"), platform("new")
        older_wechat.offered = [old]
        await older_wechat.gateway.refresh_keys()
        entries, how = [new.entry()], {"by": new}
        if spoil == "another key":
            entries = [new.entry(), old.entry(apiv3_key="f" * 32)]
        elif spoil == "unsigned":
            how = {"signed": False}
        elif spoil == "signed by one not listed":
            how = {"by": old}
        elif spoil == "replayed":
            how |= {"timestamp": str(int(time.time()) - 4000)}
        elif spoil == "expired":
            past = platform("past", begins_days=-900, ends_days=-1)
            entries, how = [past.entry()], {"by": past}
        elif spoil == "none":
            entries = []
        elif spoil == "wrong serial":
            entries = [new.entry(serial_no="5" + "0" * 39)]
        elif spoil == "500":
            how |= {"status": 500}
        elif spoil == "another algorithm":
            entries[0]["encrypt_certificate"]["algorithm"] = "AEAD_SM4_GCM"
        body = b"{{{" if spoil == "junk" else json.dumps({"data": entries}).encode()
        older_wechat.say(body, **how)
        older_wechat.list_answer = older_wechat.answers[0]
        with pytest.raises(Unknown):
            await older_wechat.gateway.refresh_keys()
        older_wechat.say(TRADE, by=old)
        assert await older_wechat.gateway.query("P00000001") is not None

    async def test_an_expired_one_beside_a_good_one_is_left_out(self, older_wechat: FalseWeChat) -> None:
        past, new = platform("past", begins_days=-900, ends_days=-1), platform("new")
        older_wechat.offered = [past, new]
        await older_wechat.gateway.refresh_keys()
        keyring = older_wechat.gateway.keyring
        assert keyring.find(past.serial) is None
        assert keyring.find(new.serial) is not None

    async def test_one_that_expires_while_it_is_held_is_believed_no_more(self, older_wechat: FalseWeChat) -> None:
        past = platform("past", begins_days=-900, ends_days=-1)
        older_wechat.gateway.keyring.hold(json.dumps({"data": [past.entry()]}).encode())
        older_wechat.offered = [past]
        older_wechat.say(TRADE, by=past)
        with pytest.raises(Unknown):
            await older_wechat.gateway.query("P00000001")

    async def test_secrets_are_sealed_to_the_one_that_began_last(self, older_wechat: FalseWeChat) -> None:
        first = platform("first", begins_days=-300, ends_days=3000)
        second, third = platform("second", begins_days=-2, ends_days=300), platform("third", begins_days=5)
        older_wechat.offered = [second, first, third]
        await older_wechat.gateway.refresh_keys()
        newest = older_wechat.gateway.keyring.newest()
        assert newest is not None
        assert newest[0] == second.serial
        older_wechat.say({"echo_message": "x", "encrypted_echo_message": "x"}, by=first)
        await older_wechat.gateway.echo("x", secret="y")
        assert older_wechat.heard[-1].headers["wechatpay-serial"] == second.serial

    @pytest.mark.parametrize("what", ["refund", "transfer", "receiver"])
    async def test_who_carries_a_secret_names_the_certificate_that_opens_it(
        self, older_wechat: FalseWeChat, what: str
    ) -> None:
        one, gateway = platform("old"), older_wechat.gateway
        older_wechat.offered = [one]
        await gateway.refresh_keys()
        older_wechat.say({"out_refund_no": "R00000001", "out_bill_no": "B00000001", "state": "ACCEPTED"}, by=one)
        if what == "refund":
            card = {"bank_type": "ICBC_DEBIT", "bank_account": "6222020200112233445", "real_name": "张三"}
            await gateway.apply_abnormal(refund_id="5", out_refund_no="R00000001", kind="USER_BANK_CARD", **card)
        elif what == "transfer":
            bill: dict[str, Any] = {
                "appid": "wx0",
                "scene_id": "1000",
                "openid": "o0",
                "amount_fen": 30,
                "remark": "x",
                "report": {},
            }
            name = sealing.seal(gateway.keyring, "张三")
            await gateway.transfers.create(out_bill_no="B00000001", user_name=name, **bill)
        else:
            name = sealing.seal(gateway.keyring, "张三")
            await gateway.sharing.add_receiver(kind="MERCHANT_ID", account="1", relation="SUPPLIER", name=name)
        heard = older_wechat.heard[-1]
        assert heard.headers["wechatpay-serial"] == one.serial
        (sealed,) = (heard.json[name] for name in ("real_name", "user_name", "name") if name in heard.json)
        oaep = OAEP(MGF1(SHA1()), SHA1(), None)  # WeChat's own choice
        assert one.private.decrypt(b64decode(sealed), oaep).decode() == "张三"

    async def test_a_404_of_a_merchant_without_certificates_is_told(self, older_wechat: FalseWeChat) -> None:
        older_wechat.say({"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"}, status=404, signed=False)
        older_wechat.list_answer = older_wechat.answers[0]
        with pytest.raises(Refused):
            await older_wechat.gateway.refresh_keys()


def _an_hour_later(wechat: FalseWeChat) -> None:
    """The last download was long ago."""
    wechat.connection._learned_at -= 3600
