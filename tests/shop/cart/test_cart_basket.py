import pytest
from cast import Shop

from shop.cart import basket

pytestmark = pytest.mark.anyio


async def test_checkout_reads_what_is_selected_and_takes_what_was_ordered(shop: Shop) -> None:
    await shop.buyer("alice")
    member_id = await shop.sql.fetchval("SELECT id FROM member")
    tea, cup, pot = await shop.stocked(5, 5, 5)
    now = shop.world.clock.now()
    async with shop.db.begin() as session:
        for sku in (tea, cup, pot):
            await basket.add(session, member_id, sku, 2, now)
        await basket.select_lines(session, member_id, [cup], selected=False)
    async with shop.db.begin() as session:
        assert await basket.selected(session, member_id) == [(pot, 2), (tea, 2)]
        await basket.take(session, member_id, [tea, 999])
        assert await basket.selected(session, member_id) == [(pot, 2)]
        assert await basket.count(session, member_id) == (2, 4)
        assert await basket.selected(session, member_id + 1) == []


async def test_the_database_refuses_no_pieces(shop: Shop) -> None:
    await shop.buyer("alice")
    (tea,) = await shop.stocked(5)
    with pytest.raises(Exception, match="ck_cart_line_quantity"):
        await shop.sql.execute("INSERT INTO cart_line SELECT id, $1, 0, true, now() FROM member", tea)
