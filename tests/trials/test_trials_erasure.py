"""Members leave footprints everywhere; some have themselves erased, and a dump of the database knows them no more."""

import json
import random
import re
import subprocess
from typing import Any

import httpx
import pytest
from cast import Buyer, Operator, Shop
from trialing import Rounds

from dev.postgres import Cluster, programs
from shop.privacy.registry import KEPT


class Person:
    """A member whose every value is theirs alone."""

    def __init__(self, number: int, chance: random.Random) -> None:
        mark = f"{number:02d}{chance.randrange(10**6):06d}"
        self.values = {
            "nickname": f"昵称{mark}",
            "avatar": f"/media/face-{mark}.jpg",
            "phone": f"139{mark}",
            "name": f"收件人{mark}",
            "address phone": f"138{mark}",
            "detail": f"幸福路{mark}号",
            "tag": f"家{mark}",
            "note": f"请放门口{mark}",
            "why": f"不想要了{mark}",
            "reason": f"少发了{mark}",
            "remark": f"谢谢{mark}",
            "campaign": f"friend-of-{mark}",
            "ip": f"203.0.113.{100 + number}",  # as long as everybody's: nobody's begins with another one's
        }
        self.buyer: Buyer
        self.member_id = ""

    async def live(self, shop: Shop, operator: Operator, sku: int) -> None:
        """Signs up, orders, pays, cancels, is refunded, is sent money."""
        buyer, values = await shop.buyer(f"person{self.values['phone']}"), self.values
        self.buyer, self.member_id = buyer, (await buyer.get("/me")).json()["id"]
        row = await shop.sql.fetchrow("SELECT openid FROM identity WHERE member_id = $1", int(self.member_id))
        self.values["openid"] = row["openid"]
        shop.world.tell("users", user=buyer.name, phone=values["phone"])
        code = shop.world.code(buyer.name, "phone")
        profile = {"nickname": values["nickname"], "avatarUrl": values["avatar"]}
        await self._done(shop, "PUT", "/me", profile)
        await self._done(shop, "POST", "/me/phone", {"code": code})
        address = {"province": "广东省", "city": "深圳市", "district": "南山区", "name": values["name"]}
        address |= {"phone": values["address phone"], "detail": values["detail"], "tag": values["tag"]}
        buyer.address_id = (await self._done(shop, "POST", "/addresses", address))["id"]
        await self._done(shop, "POST", "/cart/items", {"skuId": str(sku), "quantity": 1})
        await self._order_and_leave(shop, sku)
        await self._order_and_get_money_back(shop, operator, sku)

    async def _done(self, shop: Shop, method: str, path: str, body: Any) -> Any:
        headers = {**self.buyer.headers, "idempotency-key": f"{path}-{self.member_id}-{random.random()}"}
        answer = await shop.http.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def _place(self, shop: Shop, sku: int) -> str:
        wish: dict[str, Any] = {"lines": [{"skuId": str(sku), "quantity": 1}], "addressId": self.buyer.address_id}
        shown = await self._done(shop, "POST", "/checkout/preview", wish)
        wish |= {"expectedPayFen": shown["payFen"], "note": self.values["note"]}
        wish["source"] = {"campaign": self.values["campaign"]}
        return str((await self._done(shop, "POST", "/orders", wish))["no"])

    async def _order_and_leave(self, shop: Shop, sku: int) -> None:
        no = await self._place(shop, sku)
        await self.buyer.prepay(no)
        await shop.sql.execute("UPDATE payment SET client_ip = $2 WHERE payable = $1", no, self.values["ip"])
        await self._done(shop, "POST", f"/orders/{no}/cancel", {"reason": self.values["why"]})

    async def _order_and_get_money_back(self, shop: Shop, operator: Operator, sku: int) -> None:
        no = await self._place(shop, sku)
        shop.world.pay(await self.buyer.prepay(no))
        while await self.buyer.state(no) != "paid":
            assert (await shop.notify()).status_code == 204
        assert (await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF123456"})).is_success
        await self._done(shop, "POST", f"/orders/{no}/confirm", None)
        line = (await operator.get(f"/orders/{no}")).json()["lines"][0]["id"]
        assert (await operator.refund(no, {line: 1}, reason=self.values["reason"])).status_code == 201
        wish = {"cause": f"thanks-{self.member_id}", "amountFen": 100, "remark": self.values["remark"]}
        wish |= {"sceneId": "1000", "report": {"活动名称": "开业", "奖励说明": "新客"}}
        sent = await operator.post(f"/members/{self.member_id}/transfers", wish)
        assert sent.is_success, sent.text
        await shop.run_jobs()
        package = (await self.buyer.get(f"/transfers/{sent.json()['outBillNo']}")).json()["confirm"]["package"]
        shop.world.tell(f"transfers/{sent.json()['outBillNo']}/confirm", package_info=package)

    async def export(self, shop: Shop) -> str:
        answer = await shop.http.get("/api/v1/me/export", headers=self.buyer.headers)
        assert answer.status_code == 200, answer.text
        return json.dumps(answer.json(), ensure_ascii=False)

    async def leave(self, shop: Shop) -> httpx.Response:
        return await shop.http.delete("/api/v1/me", headers=self.buyer.headers)

    def found_in(self, text: str) -> list[str]:
        """Which of the values stand in it: plain, or escaped as in JSON."""
        return [name for name, value in self.values.items() if value in text or json.dumps(value)[1:-1] in text]


def _dump(cluster: Cluster) -> str:
    """Everything, as text: rows, defaults, comments, sequences."""
    argv = [str(programs() / "pg_dump"), "--dbname", cluster.superuser_url("shop"), "--inserts"]
    done = subprocess.run(argv, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.trial("R33")
async def test_a_dump_does_not_know_those_who_were_erased(
    shop: Shop, cluster: Cluster, rounds: Rounds, chance: random.Random
) -> None:
    people = [Person(number, chance) for number in range(rounds(5, 100))]
    (sku,) = await shop.stocked(1000)
    operator = await shop.operator()
    for person in people:
        await person.live(shop, operator, sku)
    shop.world.skip(seconds=5)
    await _settle(shop, len(people))
    before = _dump(cluster)
    for person in people:
        exported = await person.export(shop)
        assert person.found_in(exported) == list(person.values), "whole"
        assert not any(other.found_in(exported) for other in people if other is not person), "and nobody else's"
        assert person.found_in(before) == list(person.values), "the search finds what is there"
    gone = people[: len(people) // 2]
    shop.world.skip(days=2)
    for person in gone:
        answer = await person.leave(shop)
        assert answer.status_code == 204, answer.text
    after = _dump(cluster)
    assert {person.member_id: person.found_in(after) for person in gone} == {person.member_id: [] for person in gone}
    for person in people[len(gone) :]:
        assert person.found_in(after) == list(person.values), "and the others are as they were"
    assert len(re.findall(r"INSERT INTO public\.orders ", after)) == len(
        re.findall(r"INSERT INTO public\.orders ", before)
    )
    assert KEPT[("parcel", "tracking_no")], "what is kept is kept for a reason"


async def _settle(shop: Shop, people: int) -> None:
    """The news of refunds and transfers, and whatever waits."""
    for _ in range(40 * people):
        if not shop.mailbox.letters and not await _under_way(shop):
            return
        if shop.mailbox.letters:
            await shop.notify()
        else:
            shop.world.skip(seconds=30)
            await shop.worker.ask_refunds()
            await shop.worker.pursue_payouts()
    raise AssertionError("money is still under way")


async def _under_way(shop: Shop) -> bool:
    statement = """SELECT (SELECT count(*) FROM refund WHERE state <> 'succeeded')
        + (SELECT count(*) FROM transfer WHERE state <> 'success')"""
    return bool(await shop.sql.fetchval(statement))
