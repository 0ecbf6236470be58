"""Product pages in memory: what is unpacked is what was packed, and the younger stock stays."""

from hypothesis import given
from hypothesis import strategies as st

from catalog.packing import Packing
from catalog.printing import Page

PRODUCT = b'{"id":"%d","title":"%b","images":["/media/%d.webp"],"sold":0,"stock":%d,"skus":[{"id":"%d","stock":%d}]}'


def _page(body: bytes, *, stock_at: float = 1.0, turn: int = 0) -> Page:
    return Page(
        operation="getProduct",
        cache_control=b"no-cache",
        etag=b'"%x"' % (hash(body) & 0xFFFFFF),
        body=body,
        skus=(7, 8),
        stock_at=stock_at,
        places=None,
        turn=turn,
    )


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5))
def test_what_is_unpacked_is_what_was_packed(bodies: list[bytes]) -> None:
    packing = Packing("getProduct", b"no-cache")
    pages = [_page(body, stock_at=number) for number, body in enumerate(bodies)]
    packed = [packing.pack(page) for page in pages]
    assert [packing.unpack(one) for one in packed] == pages


def test_pages_that_are_alike_become_small() -> None:
    packing = Packing("getProduct", b"no-cache")
    bodies = [PRODUCT % (n, "无痕挂钩".encode(), n, 40 + n, 3 * n, 40 + n) for n in range(1000, 1100)]
    packed = [packing.pack(_page(body)) for body in bodies]
    assert sum(len(one.body) for one in packed) < sum(map(len, bodies)) / 2


def test_what_was_looked_after_is_put_back_unless_it_is_older() -> None:
    packing = Packing("getProduct", b"no-cache")
    packed = packing.pack(_page(b'{"stock":1}', stock_at=1.0))
    packing.renew(packed, _page(b'{"stock":3}', stock_at=3.0, turn=3))
    packing.renew(packed, _page(b'{"stock":2}', stock_at=2.0, turn=2))
    assert packing.unpack(packed) == _page(b'{"stock":3}', stock_at=3.0, turn=3)
    packing.renew(packed, _page(b'{"stock":3}', stock_at=3.0, turn=4))
    assert packed.turn == 4
