"""The sandbox seen from outside: clients of others, unmodified, buy, hear, refund and fetch a bill against it."""

import asyncio
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_ import WeChatPayType as AsyncType

FOLDER = Path(__file__).parents[1] / "thirdparty"
NODE = shutil.which("node")


def _missing() -> str | None:
    """Why the clients of npm cannot be run."""
    if NODE is None:
        return "node is not installed"
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").split(".")[0]) < 18:
        return f"node {version.strip()} is older than 18"
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    for name, number in wanted.items():
        package = FOLDER / "node_modules" / name / "package.json"
        if not package.exists():
            return f"{name} is not installed: npm ci --ignore-scripts in tests/thirdparty"
        if json.loads(package.read_text())["version"] != number:
            return f"{name} {number} is not what is installed: npm ci --ignore-scripts in tests/thirdparty"
    return None


WHY_NOT = _missing()


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
@pytest.mark.parametrize(("script", "key_mode"), [("axios_plugin.mjs", "public_key"), ("node_v3.mjs", "certificate")])
def test_clients_of_npm(new_box, script, key_mode) -> None:
    box = new_box("--key-mode", key_mode)
    facts = {"PATH": os.environ["PATH"], "MERCHANT_CERTIFICATE": str(box.folder / "merchant_cert.pem"), **box.env}
    run = subprocess.run(
        [str(NODE), script], cwd=FOLDER, env=facts, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def settings(box, kind: object) -> dict[str, Any]:
    return {
        "wechatpay_type": kind,
        "mchid": box.mch_id,
        "private_key": Path(box.env["WECHAT_PAY_PRIVATE_KEY"]).read_text(),
        "cert_serial_no": box.env["WECHAT_PAY_CERT_SERIAL"],
        "appid": box.app_id,
        "apiv3_key": box.env["WECHAT_PAY_APIV3_KEY"],
        "public_key": Path(box.env["WECHAT_PAY_PUBLIC_KEY"]).read_text(),
        "public_key_id": box.env["WECHAT_PAY_PUBLIC_KEY_ID"],
    }


def today(box) -> str:
    day = box.look("clock")["now"][:10]
    box.lever(f"bills/{day}/publish")
    return day


def check_bill(ticket: str, file: bytes, number: str) -> None:
    plain = gzip.decompress(file)
    assert hashlib.sha1(plain).hexdigest() == json.loads(ticket)["hash_value"]
    assert plain.decode("utf-8-sig").count(f"`{number},") == 2


def check_notice(pay: Any, letter: tuple, number: str, event_type: str) -> None:
    headers, body = letter
    heard = pay.callback(headers, body.decode())
    assert (heard["event_type"], heard["resource"]["out_trade_no"]) == (event_type, number)


def test_wechatpayv3(box, inbox) -> None:
    pay = WeChatPay(**settings(box, WeChatPayType.MINIPROG), notify_url=inbox.url)
    pay._core._gate_way = box.url
    number, amount = box.form()["out_trade_no"], {"refund": 1000, "total": 4200, "currency": "CNY"}
    assert pay.pay("手冲咖啡", number, {"total": 4200}, payer={"openid": box.openid()})[0] == 200
    box.lever(f"payments/{number}/pay")
    check_notice(pay, inbox.wait(1)[0], number, "TRANSACTION.SUCCESS")
    assert json.loads(pay.query(out_trade_no=number)[1])["trade_state"] == "SUCCESS"
    assert pay.refund(f"R{number}", amount, out_trade_no=number)[0] == 200
    check_notice(pay, inbox.wait(2)[1], number, "REFUND.SUCCESS")
    assert json.loads(pay.query_refund(f"R{number}")[1])["status"] == "SUCCESS"
    status, ticket = pay.trade_bill(today(box))
    assert status == 200
    status, file = pay.download_bill(json.loads(ticket)["download_url"])
    assert status == 200
    check_bill(ticket, file, number)


def test_wechatpayv3_asynchronous(box, inbox) -> None:
    async def live() -> None:
        pay = AsyncWeChatPay(**settings(box, AsyncType.MINIPROG), notify_url=inbox.url)
        pay._core._gate_way = box.url
        async with pay:
            number, amount = box.form()["out_trade_no"], {"refund": 1000, "total": 4200, "currency": "CNY"}
            assert (await pay.pay("手冲咖啡", number, {"total": 4200}, payer={"openid": box.openid()}))[0] == 200
            box.lever(f"payments/{number}/pay")
            check_notice(pay, inbox.wait(1)[0], number, "TRANSACTION.SUCCESS")
            assert json.loads((await pay.query(out_trade_no=number))[1])["trade_state"] == "SUCCESS"
            assert (await pay.refund(f"R{number}", amount, out_trade_no=number))[0] == 200
            check_notice(pay, inbox.wait(2)[1], number, "REFUND.SUCCESS")
            assert json.loads((await pay.query_refund(f"R{number}"))[1])["status"] == "SUCCESS"
            status, ticket = await pay.trade_bill(today(box))
            assert status == 200
            status, file = await pay.download_bill(json.loads(ticket)["download_url"])
            assert status == 200
            check_bill(ticket, file, number)

    asyncio.run(live())


def test_wechatpayv3_pays_by_code_and_reverses(box) -> None:
    """Its notify URL has to be kept from it: code-pay takes none."""
    pay = WeChatPay(**settings(box, WeChatPayType.MINIPROG), notify_url="https://shop.example.com/n")
    pay._core._gate_way = box.url
    code = box.lever("codes", {"kind": "payment", "user": "carol"})["code"]
    number = box.form()["out_trade_no"]
    status, text = pay.pay(
        "手冲咖啡",
        number,
        {"total": 100},
        payer={"auth_code": code},
        scene_info={"store_info": {"id": "S1"}},
        pay_type=WeChatPayType.CODEPAY,
    )
    assert (status, json.loads(text)["trade_state"]) == (200, "SUCCESS")
    box.lever("clock/advance", {"seconds": 20})
    assert pay.codepay_reverse(number)[0] == 200
    assert box.state(number) == "REVOKED"
