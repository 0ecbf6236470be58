"""How much a user may get in a day, above what a second person agrees, and who may not at all."""

import asyncio
from datetime import timedelta, timezone

from paying_out import (
    Scene,
    allow,
    balances,
    promise,
    promised,
    second_person,
    sign_in,
    state_of,
)


async def test_one_user_gets_no_more_than_the_cap_in_a_day(scene: Scene) -> None:
    shop, operator, _, member = scene
    await allow(operator, 1000)
    answers = await asyncio.gather(*(promise(operator, member, 300) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 422, 422, 422]
    assert {a.json()["leftFen"] for a in answers if a.status_code == 422} == {100}
    no = next(a.json()["outBillNo"] for a in answers if a.status_code == 201)
    await operator.post(f"/transfers/{no}/cancel")  # its amount is free again
    assert (await promise(operator, member, 400)).status_code == 201
    await second_person(shop, operator)
    shop.world.skip(days=1)
    operator = await sign_in(shop, "second")
    assert (await promise(operator, member, 1000)).status_code == 201
    assert (await promise(operator, member, 1001)).status_code == 422


async def test_many_small_transfers_are_no_way_around_the_limit(scene: Scene) -> None:
    """What one user was promised that day, and nobody else agreed to, counts as one sum."""
    shop, operator, _, member = scene
    await allow(operator, 1_000_000)
    policy = {"latePayment": "refund", "wrongAmount": "refund", "refundApprovalAboveFen": None}
    path, body = "/admin/v1/payment-policy", {**policy, "payoutApprovalAboveFen": 1000}
    assert (await shop.http.put(path, headers=operator.headers, json=body)).status_code == 200
    answers = await asyncio.gather(*(promise(operator, member, 400) for _ in range(4)))
    assert sorted(answer.json()["state"] for answer in answers) == [
        "requested",
        "requested",
        "to_approve",
        "to_approve",
    ]
    assert await balances(shop) == {"payouts": 800, "payouts_payable": -800}
    first, second = (a.json()["outBillNo"] for a in answers if a.json()["state"] == "to_approve")
    other = await second_person(shop, operator)
    assert (await other.post(f"/transfers/{first}/approve")).status_code == 200
    assert (await operator.post(f"/transfers/{second}/cancel")).status_code == 200
    assert (await promise(operator, member, 200)).json()["state"] == "requested", "800 + 200, the rest was agreed to"
    assert (await promise(other, member, 30)).json()["state"] == "to_approve", "whoever asks"


async def test_the_day_of_the_limit_is_beijings(scene: Scene) -> None:
    """At eight in the morning a new day begins elsewhere."""
    shop, operator, _, member = scene
    await allow(operator, 1_000_000)
    limits = {"refundApprovalAboveFen": None, "payoutApprovalAboveFen": 1000}
    path, body = "/admin/v1/payment-policy", {"latePayment": "refund", "wrongAmount": "refund", **limits}
    assert (await shop.http.put(path, headers=operator.headers, json=body)).status_code == 200
    await second_person(shop, operator)
    now = shop.world.clock.now().astimezone(timezone(timedelta(hours=8)))
    seven = (now + timedelta(days=1)).replace(hour=7, minute=0)
    states = []
    for later in (seven - now, timedelta(hours=2), timedelta(hours=16)):  # at seven, nine, and one of the next day
        shop.world.skip(seconds=later.total_seconds())
        operator = await sign_in(shop, "second")
        states.append((await promise(operator, member, 800)).json()["state"])
    assert states == ["requested", "to_approve", "requested"]


async def test_what_is_counted_today_outlives_the_workers_cleaning(scene: Scene) -> None:
    shop, operator, _, member = scene
    await allow(operator, 1000)
    assert (await promise(operator, member, 600)).status_code == 201
    await shop.sql.execute("INSERT INTO transfer_day VALUES ('wx', 'o', '2020-01-01', 0, 1)")
    await shop.worker.clean()
    assert await shop.sql.fetchval("SELECT count(*) FROM transfer_day WHERE day < '2021-01-01'") == 0
    answer = await promise(operator, member, 500)
    assert (answer.status_code, answer.json()["leftFen"]) == (422, 400)


async def test_above_the_limit_a_second_person_agrees(scene: Scene) -> None:
    shop, operator, buyer, member = scene
    policy = {"latePayment": "refund", "wrongAmount": "refund"}
    limits = {"refundApprovalAboveFen": None, "payoutApprovalAboveFen": 1000}
    path, body = "/admin/v1/payment-policy", {**policy, **limits}
    assert (await shop.http.put(path, headers=operator.headers, json=body)).status_code == 200
    no = await promised(operator, member, 1001)
    await shop.run_jobs()
    assert (await state_of(operator, no), await balances(shop)) == ("to_approve", {})
    assert (await buyer.get(f"/transfers/{no}")).status_code == 404
    answer = await operator.post(f"/transfers/{no}/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_person_needed")
    other = await second_person(shop, operator)
    assert (await other.post(f"/transfers/{no}/approve")).json()["state"] == "requested"
    assert (await other.post(f"/transfers/{no}/approve")).json()["code"] == "not_to_approve"
    await shop.run_jobs()
    assert await state_of(operator, no) == "wait_user_confirm"
    small = await promised(operator, member, 1000)
    assert await state_of(operator, small) == "requested"


async def test_a_clerk_moves_no_money(scene: Scene) -> None:
    shop, operator, _, member = scene
    body = {"login": "clerk1", "name": "Wang", "password": "a long enough word", "role": "clerk"}
    await operator.post("/staff", body)
    clerk = await sign_in(shop, "clerk1")
    assert (await promise(clerk, member)).json()["code"] == "not_permitted"
