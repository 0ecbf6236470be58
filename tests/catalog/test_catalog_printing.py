"""Answers as bytes: where stock stands in them, and whose stock it is."""

from catalog.levels import Reading
from catalog.printing import printed
from catalog.schemas import Option, ProductDetail, SkuDetail


def _detail() -> ProductDetail:
    sku = SkuDetail("1", 100, None, None, 10, [Option("1", "1", '"stock":8888888888888888')], 3)
    return ProductDetail(
        id="7", category_id="1", title='"stock":8888888888888888', subtitle="", images=[], detail_images=[],
        description="", tags=[], price_fen=100, max_price_fen=100, list_price_fen=None, sold=0, stock=3, specs=[],
        skus=[sku],
    )  # fmt: skip


def test_a_title_that_looks_like_a_place_is_none() -> None:
    page = printed("getProduct", b"no-cache", _detail(), skus=(1,), stock_at=0.0)
    page.fill(Reading(1.0, {1: 42}))
    assert page.body.count(b'"stock":42') == 2
    assert page.body.count(b"8888888888888888") == 2
    tag = page.etag
    page.fill(Reading(2.0, {1: 7}))
    assert page.body.count(b'"stock":7') == 2
    assert page.etag != tag
    page.fill(Reading(1.5, {1: 9}))  # an older look comes late
    assert page.body.count(b'"stock":7') == 2


def test_a_number_whose_skus_did_not_move_is_left_as_it_stands() -> None:
    shown = [{"stock": 12}, {"stock": 7}]
    page = printed("listProducts", b"no-cache", shown, places=[(1, 2), (3,)], stock_at=0.0)
    assert page.follow({2}, {1: 5, 2: 6, 3: 99}, 1.0)
    assert (page.body, page.stock_at) == (b'[{"stock":11},{"stock":7}]', 1.0)
    before = page.etag
    assert not page.follow({2, 3}, {1: 5, 3: 6}, 2.0), "of 2 nothing is known"
    assert (page.etag, page.stock_at) == (before, 1.0)
