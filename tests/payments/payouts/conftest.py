"""A member who is to get money, and who promises it."""

import pytest
from cast import Shop
from paying_out import Scene, member_id


@pytest.fixture
async def scene(shop: Shop) -> Scene:
    buyer = await shop.buyer("alice")
    return shop, await shop.operator(), buyer, await member_id(shop, buyer)
