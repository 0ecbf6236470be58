"""One of everything in a shop that runs, so that requests may name what is there."""

import gzip
import secrets
from typing import Any

from started import Started

from kit.clock import SystemClock
from shop.admin import sessions
from shop.admin.roles import Role
from shop.members import sessions as members
from shop.shipping import templates

ADDRESS = {
    "name": "张三",
    "phone": "13800000000",
    "province": "广东省",
    "city": "深圳市",
    "district": "南山区",
    "detail": "科技园一路1号",
}


class Scene:
    """One of everything, so that requests may name what is there."""

    def __init__(self, shop: Started) -> None:
        self.shop = shop
        self.staff_id, self.manager = shop.operator(Role.MANAGER)
        self.spare_id, self.spare = shop.operator(Role.MANAGER)
        _, self.clerk = shop.operator(Role.CLERK)
        self.user = f"alice-{shop.port}"
        self.token = shop.member(self.user)
        self.member_id = shop.done("GET", "/api/v1/me", self.token)["id"]
        self.address_id = shop.done("POST", "/api/v1/addresses", self.token, ADDRESS)["id"]
        self.category_id, self.product_id, self.sku_id = self._goods()
        shop.verb(templates.ensure_default)
        self.template_id = str(shop.sql("SELECT id FROM freight_template ORDER BY id LIMIT 1")[0]["id"])
        self.paid_no, self.line_id = self._order()
        self._pay(self.paid_no)
        self.no, _ = self._order()
        self.case_id = self._case()
        self.out_trade_no, self.refund_no = self._money_back()
        self.transfer_no = self._money_out()
        self.receiver_id, self.declaration_id = self._others()
        self.day = self._bills()
        self._charged()
        shop.done("POST", "/api/v1/cart/items", self.token, {"skuId": self.sku_id, "quantity": 1})

    def somebody_else(self) -> str:
        """The token of another member, with an address of their own."""
        token = self.shop.member(f"mallory-{self.shop.port}")
        self.shop.done("POST", "/api/v1/addresses", token, ADDRESS)
        return token

    def _goods(self) -> tuple[str, str, str]:
        ask = self.shop.done
        category = ask("POST", "/admin/v1/categories", self.manager, {"name": "茶"})["id"]
        sku = {"code": secrets.token_hex(4), "priceFen": 1000}
        body = {"title": "龙井", "categoryId": category, "skus": [sku], "images": ["/media/a.svg"]}
        product = ask("POST", "/admin/v1/products", self.manager, body)
        sku_id = product["skus"][0]["id"]
        ask("POST", f"/admin/v1/stock/{sku_id}/adjust", self.manager, {"delta": 100_000, "reason": "initial"})
        ask("POST", f"/admin/v1/products/{product['id']}/on-sale", self.manager)
        return category, product["id"], sku_id

    def wish(self, quantity: int = 2) -> dict[str, Any]:
        return {"lines": [{"skuId": self.sku_id, "quantity": quantity}], "addressId": self.address_id}

    def _order(self) -> tuple[str, str]:
        preview = self.shop.done("POST", "/api/v1/checkout/preview", self.token, self.wish())
        body = {**self.wish(), "expectedPayFen": preview["payFen"]}
        order = self.shop.done("POST", "/api/v1/orders", self.token, body)
        return order["no"], order["lines"][0]["id"]

    def _pay(self, no: str) -> None:
        self.shop.done("POST", f"/api/v1/orders/{no}/prepay", self.token)
        out_trade_no = self.shop.sql("SELECT out_trade_no FROM payment WHERE payable = $1", no)[0]["out_trade_no"]
        self.shop.world.pay(out_trade_no)
        self.shop.done("POST", f"/api/v1/orders/{no}/payment/refresh", self.token)

    def _case(self) -> str:
        statement = "INSERT INTO payment_exception (kind, reference, facts, created_at) VALUES ($1, $2, '{}', now())"
        return str(self.shop.sql(f"{statement} RETURNING id", "strange_notice", secrets.token_hex(8))[0]["id"])

    def _money_back(self) -> tuple[str, str]:
        wish = {"reason": "少发", "amountFen": 1}
        after_sale = self.shop.done("POST", f"/admin/v1/orders/{self.paid_no}/refunds", self.manager, wish)
        paid = self.shop.sql("SELECT out_trade_no FROM payment WHERE payable = $1", self.paid_no)
        return paid[0]["out_trade_no"], after_sale["refund"]["no"]

    def _money_out(self) -> str:
        wish = {"cause": "thanks", "amountFen": 100, "remark": "谢谢", "sceneId": "1000"}
        wish["report"] = {"活动名称": "开业", "奖励说明": "新客"}
        return str(
            self.shop.done("POST", f"/admin/v1/members/{self.member_id}/transfers", self.manager, wish)["outBillNo"]
        )

    def _others(self) -> tuple[str, str]:
        receiver = {"kind": "MERCHANT_ID", "account": "1900000109", "relation": "SUPPLIER", "name": "茶农合作社"}
        office = {"customs": "SHANGHAI_ZS", "merchantCustomsNo": "310114K001", "dutyFen": 0}
        where = f"/admin/v1/payments/{self.out_trade_no}/declarations"
        return (
            str(self.shop.done("POST", "/admin/v1/share-receivers", self.manager, receiver)["id"]),
            str(self.shop.done("POST", where, self.manager, office)["id"]),
        )

    def _bills(self) -> str:
        """A day with its bills, as if it had been reconciled."""
        day = "2026-03-02"
        self.shop.sql(f"INSERT INTO bill_day (day, state, figures) VALUES ('{day}', 'open', '{{}}')")
        for kind in ("trade", "fund_flow"):
            (file,) = self.shop.sql(
                f"""INSERT INTO bill_file (day, kind, sha1, size_bytes, rows, summary, downloaded_at)
                VALUES ('{day}', '{kind}', '{"0" * 40}', 1, 0, '{{}}', now()) RETURNING id"""
            )
            chunk = "INSERT INTO bill_chunk (file_id, position, data) VALUES ($1, 0, $2)"
            self.shop.sql(chunk, file["id"], gzip.compress(b"x"))
            bill = f"INSERT INTO bill (day, kind, state, check_at, file_id) VALUES ('{day}', '{kind}', 'verified', now(), $1)"
            self.shop.sql(bill, file["id"])
        return day

    def to_scan(self) -> None:
        """A new unpaid order, with a code that may be drawn."""
        self.no, _ = self._order()
        self._charged()
        self.shop.done("POST", f"/api/v1/orders/{self.no}/payments", self.token, {"channel": "native"})

    def _charged(self) -> None:
        """The unpaid order was charged at the counter before, in vain."""
        self.shop.sql(
            """INSERT INTO payment (out_trade_no, payable, channel, mchid, appid, currency, amount_fen, description, state,
                expires_at, check_at, created_at, closed_at)
            VALUES ($2, $1, 'code', '1', 'wx', 'CNY', 1, '', 'closed', now(), now(), now(), now())""",
            self.no,
            f"P{secrets.token_hex(11)}",
        )

    def ids(self, name: str, path: str = "") -> list[str]:
        """What this path may name."""
        if name == "no":
            for what, no in self._numbers().items():
                if f"/{what}/{{no}}" in path:
                    return [no]
        known = {
            "no": [self.no, self.paid_no],
            "day": [self.day],
            "kind": ["trade", "fund_flow"],
            "receiver_id": [self.receiver_id],
            "declaration_id": [self.declaration_id],
            "n": ["1"],
            "address_id": [self.address_id],
            "product_id": [self.product_id],
            "sku_id": [self.sku_id],
            "category_id": [self.category_id],
            "template_id": [self.template_id],
            "staff_id": [self.spare_id],
            "member_id": [self.member_id],
            "case_id": [self.case_id],
            "job_id": ["1"],
        }
        return known[name]

    def _numbers(self) -> dict[str, str]:
        return {
            "refunds": self.refund_no,
            "transfers": self.transfer_no,
            "payments": self.out_trade_no,
            "shares": "S" + "0" * 22,
        }

    def mend(self) -> None:
        """Let the people of the scene in again, after whatever was done to them."""
        self.shop.sql("UPDATE member SET status = 'active'")
        self.shop.sql("UPDATE staff SET disabled = false, role = 'manager' WHERE id = $1", int(self.staff_id))
        identity = self.shop.sql("SELECT id FROM identity WHERE member_id = $1", int(self.member_id))[0]["id"]
        who, now = int(self.member_id), SystemClock().now()

        async def work(session: Any) -> tuple[str, str]:
            token = await members.open_one(session, member_id=who, identity_id=identity, now=now)
            return token, await sessions.open_one(session, int(self.staff_id), now)

        self.token, self.manager = self.shop.verb(work)
