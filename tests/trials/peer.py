"""A WeChat Pay that knows neither the shop nor the simulated WeChat: own keys, own numbers, own opinions.

It checks what a merchant sends, answers signed, tells what happened, and lies, loses and repeats on demand.
"""

import json
import re
import secrets
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from peer_door import Door
from peer_wire import Keys, Refusal, members

BEIJING = timezone(timedelta(hours=8))


@dataclass
class Fault:
    """The next `times` calls that fit are answered wrongly: before the work, or after it was done."""

    method: str
    path: str
    effect: str
    after: bool = True
    times: int = 1


@dataclass
class Habits:
    """Where descriptions of the real gateway disagree, this peer may do either."""

    paid_code: str = "ORDERPAID"
    unknown_order: str = "ORDER_NOT_EXIST"
    unknown_status: int = 404
    request_id: bool = True
    sign_204: bool = True
    time_format: str = "%Y-%m-%dT%H:%M:%S+08:00"
    more: dict[str, Any] = field(default_factory=dict)
    """Members nobody described, in every object."""


class Peer:
    """One merchant's account. `orders` and `refunds` are what WeChat knows."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys()
        self.private, self.public = self.keys.write(folder)
        self.mchid, self.appid, self.secret = "1629837465", "wx7c1d5e9f3b2a4860", secrets.token_hex(16)
        self.orders: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, float]] = []
        self.faults: list[Fault] = []
        self.habits = Habits()
        self.balance: int | None = None
        self.lock = threading.RLock()
        self.http = httpx.Client(timeout=10, trust_env=False)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (Door,), {"peer": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.http.close()

    def environment(self) -> dict[str, str]:
        """The settings a merchant is given."""
        return {
            "WECHAT_PAY_URL": self.url,
            "WECHAT_PAY_MCH_ID": self.mchid,
            "WECHAT_PAY_CERT_SERIAL": self.keys.merchant_serial,
            "WECHAT_PAY_PRIVATE_KEY": str(self.private),
            "WECHAT_PAY_APIV3_KEY": self.keys.apiv3_key,
            "WECHAT_PAY_PUBLIC_KEY": self.public.read_text(),
            "WECHAT_PAY_PUBLIC_KEY_ID": self.keys.public_key_id,
            "WECHAT_PAY_KEY_MODE": "public_key",
        }

    def platform(self) -> dict[str, str]:
        return {"WECHAT_API_URL": self.url, "WECHAT_APP_ID": self.appid, "WECHAT_APP_SECRET": self.secret}

    # What people do.

    def pay(self, out_trade_no: str, **lie: Any) -> dict[str, Any]:
        """The payer pays; `lie` replaces members of what is told (and of the query, from now on)."""
        with self.lock:
            order = self.orders[out_trade_no]
            order["trade"] = {
                "transaction_id": f"4200{secrets.randbelow(10**24):024d}",
                "trade_type": "JSAPI",
                "trade_state": "SUCCESS",
                "trade_state_desc": "支付成功",
                "bank_type": "OTHERS",
                "success_time": datetime.now(BEIJING).strftime(self.habits.time_format),
                "payer": dict(order["asked"]["payer"]),
                "amount": {**order["asked"]["amount"], "payer_total": order["asked"]["amount"]["total"]},
                **lie,
            }
            order["state"] = "SUCCESS"
            return self.transaction(out_trade_no)

    def finish_refund(self, out_refund_no: str, status: str = "SUCCESS") -> dict[str, Any]:
        with self.lock:
            refund = self.refunds[out_refund_no]
            refund["status"] = status
            if status == "SUCCESS":
                refund["success_time"] = datetime.now(BEIJING).strftime(self.habits.time_format)
        told = {k: v for k, v in refund.items() if k in _REFUND_TOLD} | {"mchid": self.mchid, "refund_status": status}
        return told | self.habits.more

    def transaction(self, out_trade_no: str) -> dict[str, Any]:
        order = self.orders[out_trade_no]
        asked = order["asked"]
        plain = {
            "appid": asked["appid"],
            "mchid": asked["mchid"],
            "out_trade_no": out_trade_no,
            "trade_state": order["state"],
            "trade_state_desc": "订单",
            "amount": dict(asked["amount"]),
        }
        return plain | (order.get("trade") or {}) | self.habits.more

    def told(self, plain: dict[str, Any], event: str = "TRANSACTION.SUCCESS", **changed: Any) -> bytes:
        """The body of a notification. `changed`: `id`, `original_type`, `drop` (members left out)."""
        original = changed.get("original_type", event.split(".", maxsplit=1)[0].lower())
        resource = self.keys.seal(plain, original)
        letter = {
            "id": changed.get("id") or str(uuid.uuid4()),
            "create_time": datetime.now(BEIJING).isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": "支付成功",
            "resource": {**resource, "original_type": original},
            **self.habits.more,
        }
        for name in changed.get("drop", ()):
            letter.pop(name, None)
            letter["resource"].pop(name, None)
        return json.dumps(letter, ensure_ascii=False).encode()

    def send(self, url: str, body: bytes, **how: Any) -> httpx.Response:
        """One delivery, signed anew. `how`: `key`, `age_s`."""
        headers = {"Content-Type": "application/json", **self.keys.signed(body, **how)}
        return self.http.post(url, content=body, headers=headers)

    def tell(self, plain: dict[str, Any], event: str = "TRANSACTION.SUCCESS", **changed: Any) -> httpx.Response:
        """Tell the merchant, where it asked to be told."""
        return self.send(self.orders[plain["out_trade_no"]]["asked"]["notify_url"], self.told(plain, event, **changed))

    # What the merchant calls.

    def create(self, body: Any) -> dict[str, Any]:
        ask = members(body, _CREATE, {"appid", "mchid", "description", "out_trade_no", "notify_url", "amount", "payer"})
        members(ask["amount"], {"total": int, "currency": str}, {"total"})
        members(ask["payer"], {"openid": str}, {"openid"})
        if ask["mchid"] != self.mchid:
            raise Refusal(400, "PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配")
        too_long = len(ask["description"].encode()) > 127 or "?" in ask["notify_url"]
        if too_long or not re.fullmatch(r"[0-9A-Za-z_\-|*]{6,32}", ask["out_trade_no"]) or ask["amount"]["total"] < 1:
            raise Refusal(400, "PARAM_ERROR", "value")
        known = self.orders.get(ask["out_trade_no"])
        if known is not None and known["state"] != "NOTPAY":
            raise Refusal(400, self.habits.paid_code if known["state"] == "SUCCESS" else "ORDER_CLOSED")
        if known is not None and known["asked"] != ask:
            raise Refusal(403, "OUT_TRADE_NO_USED")
        prepay_id = "wx" + secrets.token_hex(17)
        self.orders[ask["out_trade_no"]] = {"asked": ask, "state": "NOTPAY", "prepay_id": prepay_id}
        return {"prepay_id": prepay_id}

    def close(self, out_trade_no: str, body: Any) -> None:
        members(body, {"mchid": str}, {"mchid"})
        order = self._order(out_trade_no)
        if order["state"] == "SUCCESS":
            raise Refusal(400, self.habits.paid_code, "该订单已支付")
        order["state"] = "CLOSED"

    def refund(self, body: Any) -> dict[str, Any]:
        ask = members(body, _REFUND, {"out_refund_no", "amount"})
        amount = members(ask["amount"], {"refund": int, "total": int, "currency": str}, {"refund", "total", "currency"})
        known = self.refunds.get(ask["out_refund_no"])
        if known is not None:
            if known["asked"] != ask:
                raise Refusal(400, "INVALID_REQUEST", "您的请求参数与订单信息不一致")
            return known
        order = self._order(ask["out_trade_no"])
        done = sum(
            r["amount"]["refund"]
            for r in self.refunds.values()
            if r["out_trade_no"] == ask["out_trade_no"] and r["status"] != "CLOSED"
        )
        paid = (order.get("trade") or {}).get("amount", {}).get("total", 0)
        if order["state"] != "SUCCESS" or amount["total"] != paid or done + amount["refund"] > paid:
            raise Refusal(400, "INVALID_REQUEST", "您的请求参数与订单信息不一致")
        if self.balance is not None and self.balance < amount["refund"]:
            raise Refusal(403, "NOT_ENOUGH", "基本账户余额不足")
        made = {
            "refund_id": f"503{secrets.randbelow(10**26):026d}",
            "out_refund_no": ask["out_refund_no"],
            "transaction_id": order["trade"]["transaction_id"],
            "out_trade_no": ask["out_trade_no"],
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": datetime.now(BEIJING).isoformat(timespec="seconds"),
            "status": "PROCESSING",
            "amount": {**amount, "payer_total": paid, "payer_refund": amount["refund"]},
            "asked": ask,
        }
        self.refunds[ask["out_refund_no"]] = made
        order["trade"]["trade_state"] = "REFUND"
        return made

    def _order(self, out_trade_no: str) -> dict[str, Any]:
        order = self.orders.get(out_trade_no)
        if order is None:
            raise Refusal(self.habits.unknown_status, self.habits.unknown_order, "订单不存在")
        return order

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        order = re.fullmatch(r"/v3/pay/transactions/out-trade-no/([^/]+)(/close)?", path)
        refund = re.fullmatch(r"/v3/refund/domestic/refunds/([^/]+)", path)
        if (method, path) == ("POST", "/v3/pay/transactions/jsapi"):
            return 200, self.create(body)
        if order and method == "POST" and order[2]:
            self.close(order[1], body)
            return 204, None
        if order and method == "GET" and not order[2]:
            if query.get("mchid") != [self.mchid]:
                raise Refusal(400, "PARAM_ERROR", "mchid")
            self._order(order[1])
            return 200, self.transaction(order[1])
        if (method, path) == ("POST", "/v3/refund/domestic/refunds"):
            return 200, _without_asked(self.refund(body)) | self.habits.more
        if refund and method == "GET":
            if refund[1] not in self.refunds:
                raise Refusal(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
            return 200, _without_asked(self.refunds[refund[1]]) | self.habits.more
        raise Refusal(404, "", "")

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


_CREATE: dict[str, Any] = dict.fromkeys(
    ("appid", "mchid", "description", "out_trade_no", "time_expire", "attach", "notify_url", "goods_tag"), str
) | {"amount": dict, "payer": dict, "scene_info": dict, "detail": dict, "settle_info": dict}
_REFUND: dict[str, Any] = dict.fromkeys(
    ("transaction_id", "out_trade_no", "out_refund_no", "reason", "notify_url", "funds_account"), str
) | {"amount": dict, "goods_detail": list}
_REFUND_TOLD = {
    "out_trade_no", "transaction_id", "out_refund_no", "refund_id", "success_time", "user_received_account", "amount",
}  # fmt: skip


def _without_asked(refund: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in refund.items() if name != "asked"}
