"""The story: a purchase from sign-in to refund, one that is cancelled, and one whose money comes too late."""

from collections.abc import Callable
from typing import Any

from kit.money import yuan
from shop.demo.people import Client, Phone, expect, until

Tell = Callable[[str], None]


class Story:
    """One buyer, one operator, one phone. Each method is one step and tells what happened."""

    def __init__(self, buyer: Client, operator: Client, phone: Phone, tell: Tell) -> None:
        self.buyer = buyer
        self.operator = operator
        self.phone = phone
        self.tell = tell
        self.skus: list[dict[str, Any]] = []

    def sign_in(self, name: str, login: str, password: str) -> None:
        answer = self.buyer.post("/api/v1/sign-in", {"code": self.phone.code(name)})
        self.buyer.remember(answer["accessToken"])
        self.buyer.post("/api/v1/me/phone", {"code": self.phone.code(name, "phone")})
        self.tell(f"the buyer signs in with wx.login (member {answer['member']['id']}) and gives a phone number")
        address = {
            "name": "李雷",
            "phone": "13800000000",
            "province": "广东省",
            "city": "深圳市",
            "district": "南山区",
            "detail": "科技园科苑路1号",
        }
        self.buyer.post("/api/v1/addresses", address)
        self.operator.remember(
            self.operator.post("/admin/v1/sign-in", {"login": login, "password": password})["accessToken"]
        )
        self.tell(f"the operator signs in as {login}")

    def browse(self) -> None:
        categories = self.buyer.get("/api/v1/categories")
        page = self.buyer.get("/api/v1/products", limit=20, inStock="true")
        expect(len(page["items"]) >= 2, "at least two products in stock")
        for item in page["items"]:
            detail = self.buyer.get(f"/api/v1/products/{item['id']}")
            sku = next((sku for sku in detail["skus"] if sku["stock"] >= 3), None)
            if sku is not None:
                self.skus.append({**sku, "title": detail["title"]})
            if len(self.skus) == 2:
                break
        expect(len(self.skus) == 2, "two SKUs with stock")
        names = "” and “".join(sku["title"] for sku in self.skus)
        self.tell(f"browses {len(categories['items'])} categories and looks at “{names}”")

    def fill_cart(self) -> None:
        for sku, quantity in zip(self.skus, (2, 1), strict=True):
            cart = self.buyer.post("/api/v1/cart/items", {"skuId": sku["id"], "quantity": quantity})
        self.tell(f"puts two SKUs into the cart: {len(cart['items'])} lines, ¥{yuan(cart['goodsFen'])}")

    def order_from_cart(self) -> dict[str, Any]:
        preview = self.buyer.post("/api/v1/checkout/preview", {"fromCart": True})
        expect(preview["payable"], f"a payable preview, not {preview['problems']}")
        self.tell(f"previews: goods ¥{yuan(preview['goodsFen'])}, freight ¥{yuan(preview['freightFen'])}")
        order = self.buyer.post("/api/v1/orders", {"fromCart": True, "expectedPayFen": preview["payFen"]}, status=201)
        self.tell(f"orders {order['no']} for ¥{yuan(order['totalFen'])}")
        return dict(order)

    def order_one(self) -> dict[str, Any]:
        lines = [{"skuId": self.skus[0]["id"], "quantity": 1}]
        preview = self.buyer.post("/api/v1/checkout/preview", {"lines": lines})
        wish = {"lines": lines, "expectedPayFen": preview["payFen"]}
        return dict(self.buyer.post("/api/v1/orders", wish, status=201))

    def prepay(self, order: dict[str, Any]) -> str:
        """The out_trade_no that waits on the phone."""
        params = self.buyer.post(f"/api/v1/orders/{order['no']}/prepay")
        return self.phone.waiting(params["package"])

    def pay(self, order: dict[str, Any]) -> None:
        out_trade_no = self.prepay(order)
        self.tell(f"prepays: {out_trade_no} waits on the simulated phone")
        self.phone.pay(out_trade_no)
        self.tell("pays on the phone")
        self.state_becomes(order, "paid")
        notice = until("the notification", lambda: self._notice(out_trade_no))
        self.tell(f"the signed notification arrives (answered {notice['status']}): the order is paid")

    def _notice(self, out_trade_no: str) -> dict[str, Any] | None:
        found = self.phone.get("/_sandbox/notifications", subject=out_trade_no)["items"]
        attempts = found[0]["attempts"] if found else []
        return dict(attempts[0]) if attempts and attempts[0]["status"] else None

    def state_becomes(self, order: dict[str, Any], state: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            seen = self.buyer.get(f"/api/v1/orders/{order['no']}")
            return dict(seen) if seen["state"] == state else None

        return dict(until(f"order {order['no']} becomes {state}", look))

    def ship_and_receive(self, order: dict[str, Any]) -> None:
        self.operator.post(f"/admin/v1/orders/{order['no']}/ship", {"carrier": "SF", "trackingNo": "SF1234567890123"})
        self.tell("the operator ships it")
        received = self.buyer.post(f"/api/v1/orders/{order['no']}/confirm")
        expect(received["state"] == "completed", "a completed order")
        self.tell("the buyer confirms receipt")

    def refund_a_line(self, order: dict[str, Any]) -> None:
        line = order["lines"][0]
        body = {"reason": "少发一件", "lines": [{"lineId": line["id"], "quantity": 1}]}
        sale = self.operator.post(f"/admin/v1/orders/{order['no']}/refunds", body, status=201)
        at_once = sale["refund"]["state"] != "waiting"
        expect(at_once, "a refund that goes out at once: above a limit this shop wants a second person")
        self.tell(f"the operator refunds one piece: ¥{yuan(sale['amountFen'])}")
        self._refunded(order, sale["amountFen"])
        self.tell("WeChat says that the money is back with the buyer")

    def _refunded(self, order: dict[str, Any], amount_fen: int) -> None:
        def look() -> bool:
            refunds = self.buyer.get(f"/api/v1/orders/{order['no']}")["refunds"]
            return any(r["state"] == "succeeded" and r["amountFen"] == amount_fen for r in refunds)

        until("the refund succeeds", look)

    def cancel_a_second(self) -> None:
        order = self.order_one()
        self.prepay(order)
        cancelled = self.buyer.post(f"/api/v1/orders/{order['no']}/cancel", {"reason": "拍错了"}, status=200)
        expect(cancelled["state"] == "cancelled", "a cancelled order")
        self.tell(f"cancels a second order, {order['no']}: closed at WeChat first, then the goods go back")

    def pay_a_third_too_late(self) -> None:
        order = self.order_one()
        out_trade_no = self.prepay(order)
        self.phone.skip(minutes=31)
        self.state_becomes(order, "cancelled")
        self.tell(f"a third order, {order['no']}, is not paid in time: half an hour later it is closed")
        self.phone.pay(out_trade_no, raced=True)
        self.tell("but the buyer had tapped Pay in the moment before, and the news arrives late …")
        self._refunded(order, order["totalFen"])
        cases = self.operator.get("/admin/v1/payment-exceptions", limit=20)["items"]
        case = next((case for case in cases if case["payable"] == order["no"]), None)
        expect(case is not None and case["kind"] == "paid_after_close", "an exception that the operator can see")
        self.tell(f"… ¥{yuan(order['totalFen'])} went back by itself, and the operator sees the case")

    def audit_log(self, order: dict[str, Any]) -> None:
        entries = self.operator.get("/admin/v1/audit", subject=order["no"])["items"]
        actions = {entry["action"] for entry in entries}
        expect({"order.ship", "order.refund"} <= actions, f"the audit log names both, not {actions}")
        self.tell(f"the audit log names who shipped and who refunded ({len(entries)} entries)")
