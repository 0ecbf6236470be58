"""What WeChat gave for an attempt is kept only while somebody may still pay it."""

import asyncio

import pytest
from cast import Shop

from kit import idempotency
from payments import charges
from payments.settlement import CLOSE_JOB

pytestmark = pytest.mark.usefixtures("clean")


async def _opening(shop: Shop, count: int) -> list[int]:
    """So many attempts of which WeChat has been told and has not answered yet."""
    (sku,) = await shop.stocked(100)
    buyer = await shop.buyer("opened")
    numbers = [await buyer.prepay(await buyer.order({sku: 1})) for _ in range(count)]
    await shop.sql.execute("DELETE FROM pgqueuer")
    rows = await shop.sql.fetch(
        "UPDATE payment SET state = 'opening', token = NULL, token_at = NULL WHERE out_trade_no = ANY($1) RETURNING id",
        numbers,
    )
    return [row["id"] for row in rows]


async def _kept(shop: Shop) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in await shop.sql.fetch("SELECT state, token FROM payment ORDER BY id")]


async def _answer(shop: Shop) -> idempotency.Answer[dict[str, int]]:
    """What is to be answered under a key that is ours."""
    wish = idempotency.intent("member:1", "opened", "a-key-of-ours", None)
    await shop.sql.execute(
        "INSERT INTO idempotency_key (actor, operation, key, content, started_at) VALUES ($1, $2, $3, $4, now())",
        *(wish.actor, wish.operation, wish.key, wish.content),
    )
    return idempotency.Answer(wish, {"said": 1})


async def _answers(shop: Shop) -> list[str | None]:
    rows = await shop.sql.fetch("SELECT answer FROM idempotency_key WHERE operation = 'opened'")
    return [row["answer"] for row in rows]


async def _promised(shop: Shop) -> int:
    return int(await shop.sql.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", CLOSE_JOB))


async def test_every_part_is_open_and_has_the_token(shop: Shop) -> None:
    ids = await _opening(shop, 2)
    assert await charges.opened(shop.db, shop.world.clock, ids, "wx1")
    assert await _kept(shop) == [("open", "wx1")] * 2
    assert await _promised(shop) == 0


async def test_where_one_part_was_closed_none_is_opened_and_wechat_is_told(shop: Shop) -> None:
    ids = await _opening(shop, 2)
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE id = $1", ids[1])
    assert not await charges.opened(shop.db, shop.world.clock, ids, "wx1")
    assert await _kept(shop) == [("opening", None), ("closed", None)]
    assert await _promised(shop) == 1


async def test_the_answer_is_kept_with_the_token(shop: Shop) -> None:
    (one,) = await _opening(shop, 1)
    answer = await _answer(shop)
    assert await charges.opened(shop.db, shop.world.clock, [one], "wx1", answer)
    assert answer.kept
    assert await _answers(shop) == ['{"said": 1}']


async def test_an_answer_that_was_given_meanwhile_stays(shop: Shop) -> None:
    """By whoever took the key over: the token is kept, and `through` gives their answer."""
    (one,) = await _opening(shop, 1)
    answer = await _answer(shop)
    await shop.sql.execute("UPDATE idempotency_key SET answer = '{}' WHERE operation = 'opened'")
    assert await charges.opened(shop.db, shop.world.clock, [one], "wx1", answer)
    assert not answer.kept
    assert (await _kept(shop), await _answers(shop)) == ([("open", "wx1")], ["{}"])


async def test_of_what_is_not_opened_no_answer_is_kept(shop: Shop) -> None:
    (one,) = await _opening(shop, 1)
    answer = await _answer(shop)
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE id = $1", one)
    assert not await charges.opened(shop.db, shop.world.clock, [one], "wx1", answer)
    assert not answer.kept
    assert await _answers(shop) == [None]


async def test_who_is_in_the_middle_of_closing_it_is_waited_for(shop: Shop) -> None:
    (one,) = await _opening(shop, 1)
    transaction = shop.sql.transaction()
    await transaction.start()
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE id = $1", one)
    opening = asyncio.create_task(charges.opened(shop.db, shop.world.clock, [one], "wx1"))
    done, _ = await asyncio.wait({opening}, timeout=0.2)
    assert not done
    await transaction.commit()
    assert not await opening
    assert await _kept(shop) == [("closed", None)]
    assert await _promised(shop) == 1


async def test_who_only_puts_the_next_question_off_is_waited_for_and_changes_nothing(shop: Shop) -> None:
    ids = await _opening(shop, 2)
    transaction = shop.sql.transaction()
    await transaction.start()
    await shop.sql.execute("UPDATE payment SET check_at = now() WHERE id = ANY($1)", ids)
    opening = asyncio.create_task(charges.opened(shop.db, shop.world.clock, ids, "wx1"))
    done, _ = await asyncio.wait({opening}, timeout=0.2)
    assert not done
    await transaction.commit()
    assert await opening
    assert await _kept(shop) == [("open", "wx1")] * 2
    assert await _promised(shop) == 0
