"""Any sequence of claims gives back exactly what was paid, never more, whatever is claimed by pieces and what by money."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Unprocessable
from kit.money import share
from shop.aftersales import claims
from shop.aftersales.claims import Claim
from shop.orders.models import Order, OrderLine

LINES = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3000)), min_size=1, max_size=4)
CLAIM = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 900))
STEP = st.one_of(
    st.tuples(st.just("lines"), st.lists(CLAIM, min_size=1, max_size=3), st.integers(0, 200)),
    st.tuples(st.just("amount"), st.integers(1, 4000)),
)


def _order(lines: list[tuple[int, int]], freight_fen: int) -> tuple[Order, list[OrderLine]]:
    rows = [
        OrderLine(id=place, quantity=quantity, paid_fen=paid_fen, refunded_quantity=0, refunded_fen=0)
        for place, (quantity, paid_fen) in enumerate(lines)
    ]
    total_fen = sum(paid_fen for _, paid_fen in lines) + freight_fen
    order = Order(total_fen=total_fen, freight_fen=freight_fen, freight_refunded_fen=0, refunded_fen=0, shipped_at=None)
    return order, rows


def _counters(order: Order, lines: list[OrderLine]) -> tuple[int, list[tuple[int, int]]]:
    return order.freight_refunded_fen, [(line.refunded_quantity, line.refunded_fen) for line in lines]


def _restore(order: Order, lines: list[OrderLine], counters: tuple[int, list[tuple[int, int]]]) -> None:
    """A refusal rolls everything back."""
    order.freight_refunded_fen = counters[0]
    for line, (quantity, fen) in zip(lines, counters[1], strict=True):
        line.refunded_quantity, line.refunded_fen = quantity, fen


@given(lines=LINES, freight_fen=st.integers(0, 500), steps=st.lists(STEP, max_size=12))
def test_any_sequence_adds_up(lines: list[tuple[int, int]], freight_fen: int, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    order, rows = _order(lines, freight_fen)
    given_back = 0
    for step in [*steps, ("amount", 1), ("rest",)]:
        before = _counters(order, rows)
        wanted, freight, amount = [], 0, 0
        if step[0] == "lines":
            wanted = [Claim(place % len(rows), quantity, fen) for place, quantity, fen in step[1]]
            freight = step[2]
        elif step[0] == "amount":
            amount = step[1]
        else:
            amount = order.total_fen - given_back
        claimed = None
        with suppress(Unprocessable):
            parts, freight = claims.take(order, rows, wanted, freight, amount)
            claimed = sum(part.amount_fen for part in parts) + freight
        if claimed is None:
            _restore(order, rows, before)
            continue
        assert amount in (0, claimed) or all(row.refunded_quantity == row.quantity for row in rows)
        assert all(part.quantity + part.amount_fen >= 0 for part in parts)
        assert len({part.order_line_id for part in parts}) == len(parts)
        given_back += claimed
        assert all(0 <= row.refunded_quantity <= row.quantity for row in rows)
        assert all(0 <= row.refunded_fen <= row.paid_fen for row in rows)
        assert 0 <= order.freight_refunded_fen <= order.freight_fen
        assert given_back == sum(row.refunded_fen for row in rows) + order.freight_refunded_fen
    assert given_back == order.total_fen
    if order.total_fen:
        assert all(row.refunded_quantity == row.quantity for row in rows if row.paid_fen)


@given(st.integers(0, 5000), st.lists(st.integers(0, 2000), min_size=1, max_size=6))
def test_no_share_of_a_plain_amount_exceeds_what_is_left(amount_fen: int, lefts: list[int]) -> None:
    if amount_fen <= sum(lefts):
        assert all(part <= left for part, left in zip(share(amount_fen, lefts), lefts, strict=True))


def test_a_plain_amount_is_claimed_to_the_fen_when_no_piece_is_left_but_freight_is() -> None:
    """A refund of the freight failed and is owed again; meanwhile money goes back by hand, which is what it is."""
    order, rows = _order([(2, 2000)], freight_fen=800)
    claims.take(order, rows, [Claim(0, 2, 0)], 0, 0)
    order.freight_refunded_fen -= 368
    rows[0].refunded_fen -= 1131
    parts, freight_fen = claims.take(order, rows, [], 0, 209)
    assert sum(part.amount_fen for part in parts) + freight_fen == 209
