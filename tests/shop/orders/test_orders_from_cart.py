"""An order from the cart: what is selected there, all of it, and nobody else's."""

import pytest
from cast import Buyer, Shop


async def _put(buyer: Buyer, skus: list[int]) -> None:
    await buyer.shop.sql.execute(
        """
        INSERT INTO cart_line SELECT a.member_id, k.id, 1, true, now() FROM address a, sku k
        WHERE a.id = $1 AND k.id = ANY($2)
        """,
        int(buyer.address_id),
        skus,
    )


async def _kept(buyer: Buyer) -> set[int]:
    return {int(item["skuId"]) for item in (await buyer.get("/cart")).json()["items"]}


async def test_what_is_not_selected_stays_and_so_do_the_carts_of_others(shop: Shop) -> None:
    alice, bob = await shop.buyer("alice"), await shop.buyer("bob")
    tea, cup, pot = await shop.stocked(5, 5, 5)
    for buyer in (alice, bob):
        await _put(buyer, [tea, cup, pot])
    aside = {"selected": False, "skuIds": [str(cup)]}
    await shop.http.put("/api/v1/cart/selection", headers=alice.headers, json=aside)
    preview = (await alice.post("/checkout/preview", {"fromCart": True})).json()
    answer = await alice.post("/orders", {"fromCart": True, "expectedPayFen": preview["payFen"]})
    assert answer.status_code == 201, answer.text
    assert {int(line["skuId"]) for line in answer.json()["lines"]} == {tea, pot}
    assert await _kept(alice) == {cup}
    assert await _kept(bob) == {tea, cup, pot}


@pytest.mark.parametrize(("kinds", "status"), [(50, 201), (51, 422)])
async def test_more_than_fifty_kinds_are_refused_and_fifty_are_all_sent(shop: Shop, kinds: int, status: int) -> None:
    alice = await shop.buyer("alice")
    skus = await shop.stocked(*[5] * kinds, price_fen=200)
    await _put(alice, skus)
    answer = await alice.post("/orders", {"fromCart": True, "expectedPayFen": kinds * 200})  # free of freight
    assert answer.status_code == status, answer.text
    assert answer.json().get("code") == (None if status == 201 else "too_many_kinds")
    lines = await shop.sql.fetch("SELECT sku_id FROM order_line")
    assert {row["sku_id"] for row in lines} == (set(skus) if status == 201 else set())
    assert await _kept(alice) == (set() if status == 201 else set(skus))
