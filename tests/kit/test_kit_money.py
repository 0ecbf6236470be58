"""To the fen, always."""

from hypothesis import given
from hypothesis import strategies as st

from kit.money import share, yuan
from kit.numbers import new_no


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_shares_add_up(amount: int, weights: list[int]) -> None:
    parts = share(amount, weights)
    assert sum(parts) == amount
    assert all(part >= 0 for part in parts)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_no_share_is_a_whole_fen_off(amount: int, weights: list[int]) -> None:
    for part, weight in zip(share(amount, weights), weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


def test_yuan_for_people() -> None:
    assert [yuan(fen) for fen in (0, 5, 1250, -101)] == ["0.00", "0.05", "12.50", "-1.01"]


def test_numbers_sort_by_time_and_fit_wechat_pay() -> None:
    numbers = [new_no("P") for _ in range(100)]
    assert len(set(numbers)) == 100
    assert [n[:9] for n in numbers] == sorted(n[:9] for n in numbers)
    assert all(6 <= len(n) <= 32 and n.isalnum() and n.isascii() for n in numbers)
