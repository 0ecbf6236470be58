"""Buckets of tokens, and who is counted by which."""

from typing import Any

import pytest

from kit.web.limits import Buckets, Limiter
from kit.web.peer import Peers, networks
from kit.web.refusals import TooManyRequests


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


def _scope(client: str, method: str = "GET", said: str = "") -> dict[str, Any]:
    headers = [(b"x-forwarded-for", said.encode())] if said else []
    return {"type": "http", "method": method, "client": (client, 1), "headers": headers}


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    watch = Watch()
    buckets = Buckets((5, 30), now=watch)
    assert [buckets.take("a") for _ in range(30)] == [0.0] * 30
    assert buckets.take("a") == pytest.approx(0.2)
    assert buckets.take("b") == 0.0, "others have their own"
    watch.at_s += 1
    assert [buckets.take("a") > 0 for _ in range(6)] == [False] * 5 + [True]
    watch.at_s += 3600
    assert [buckets.take("a") for _ in range(30)] == [0.0] * 30
    assert buckets.take("a") > 0, "it is never fuller than full"


def test_who_is_refused_spends_nothing() -> None:
    watch = Watch()
    buckets = Buckets((1, 1), now=watch)
    assert buckets.take("a") == 0.0
    for _ in range(1000):
        assert buckets.take("a") == pytest.approx(1.0)
    watch.at_s += 1
    assert buckets.take("a") == 0.0


def test_memory_is_bounded() -> None:
    buckets = Buckets((1, 1), size=100)
    for number in range(10_000):
        assert buckets.take(number) == 0.0
    assert len(buckets._full_at) == 100
    assert buckets.take(9_999) > 0, "who came last is remembered"


def test_who_may_ask_all_again_is_forgotten() -> None:
    watch = Watch()
    buckets = Buckets((1, 2), now=watch)
    for number in range(1000):
        assert buckets.take(number) == 0.0
        watch.at_s += 0.25
    assert len(buckets._full_at) <= 5, "those of the last second"
    assert [buckets.take(999) > 0 for _ in range(3)] == [False, True, True], "who spent is remembered"


def _refused(limiter: Limiter, scope: dict[str, Any]) -> bool:
    try:
        limiter.address(scope)
    except TooManyRequests:
        return True
    return False


def test_an_address_is_who_our_proxies_say_it_is() -> None:
    limiter = Limiter(Peers(networks("10.0.0.0/8")), {"address": (1, 2)})
    behind = [_scope("10.0.0.1", said=f"{forged}, 1.2.3.4") for forged in ("8.8.8.8", "8.8.4.4", "9.9.9.9")]
    assert [_refused(limiter, scope) for scope in behind] == [False, False, True]
    assert not _refused(limiter, _scope("10.0.0.1", said="1.2.3.5"))
    direct = [_scope("5.6.7.8", said=said) for said in ("8.8.8.8", "8.8.4.4", "9.9.9.9")]
    assert [_refused(limiter, scope) for scope in direct] == [False, False, True]


def test_a_customers_ipv6_addresses_are_one() -> None:
    limiter = Limiter(Peers(), {"address": (1, 2)})
    assert [_refused(limiter, _scope(f"2400:3200:1:2::{n}")) for n in range(1, 4)] == [False, False, True]
    assert not _refused(limiter, _scope("2400:3200:1:3::1"))
    assert [_refused(limiter, _scope("::ffff:1.2.3.4")) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    "client", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.18.0.1", "fd00::1", "::1", "unix:", ""]
)
def test_machines_of_ours_are_not_counted(client: str) -> None:
    """Such a one may be a proxy that nobody named: all buyers would share its bucket."""
    limiter = Limiter(Peers(), {"address": (1, 1)})
    assert not any(_refused(limiter, _scope(client, said="1.2.3.4")) for _ in range(100))


def test_writes_have_a_bucket_more() -> None:
    limiter = Limiter(Peers(), {"address": (100, 100), "address_writes": (1, 2), "member": (100, 100)})
    assert [_refused(limiter, _scope("1.2.3.4", "POST")) for _ in range(3)] == [False, False, True]
    assert not _refused(limiter, _scope("1.2.3.4"))
    for _ in range(100):
        limiter.member(1, "POST")
    with pytest.raises(TooManyRequests) as refused:
        limiter.member(1, "GET")
    assert (refused.value.retry_after_s, refused.value.facts) == (1, {"limit": "member"})


def test_no_limit_is_none() -> None:
    limiter = Limiter(Peers(), {"address": None})
    assert not limiter.counts_addresses
    for _ in range(1000):
        limiter.address(_scope("1.2.3.4", "POST"))
        limiter.member(1, "POST")
        limiter.staff(1, export=True)
