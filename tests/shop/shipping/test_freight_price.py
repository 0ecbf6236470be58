import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.shipping import freight, provinces
from shop.shipping.freight import STANDARD, Override, Rate, Regions, Template, Undeliverable

SIMPLE = Template(
    Rate(first_g=1000, first_fen=800, extra_g=500, extra_fen=200, free_over_fen=9900),
    Regions(
        overrides=[Override(provinces=["新疆"], first_g=1000, first_fen=1500, extra_g=1000, extra_fen=1000)],
        undeliverable=["台湾省"],
    ),
)


def fen(weight_g: int, goods_fen: int = 100, province: str = "浙江省") -> int | Undeliverable:
    return freight.price(SIMPLE, weight_g=weight_g, goods_fen=goods_fen, province=province)


@pytest.mark.parametrize(
    ("weight_g", "expected"), [(0, 800), (1, 800), (1000, 800), (1001, 1000), (1500, 1000), (1501, 1200)]
)
def test_each_further_weight_begun_costs(weight_g: int, expected: int) -> None:
    assert fen(weight_g) == expected


def test_it_is_free_from_the_bound_on() -> None:
    assert fen(5000, 9899) == 800 + 8 * 200
    assert fen(5000, 9900) == 0


@pytest.mark.parametrize(
    "province",
    [
        "新疆",
        "新疆维吾尔自治区",
        " 新疆维吾尔自治区 ",
        "新疆维吾尔",
        "新疆省",
        "中国新疆",
        "新\u200b疆",
        "新\U000e0100疆",
        "新\u3000疆\u00ad",
    ],
)
def test_some_provinces_have_their_own_rate_and_nothing_is_free_there(province: str) -> None:
    assert fen(2500, 1_000_000, province) == 1500 + 2 * 1000


@pytest.mark.parametrize("province", ["台湾", "台湾省", "台湾地区", "中国台湾", "\u2060台湾", "臺灣", "台灣省"])
def test_where_nothing_is_sent_the_answer_says_so(province: str) -> None:
    answer = fen(1, 100, province)
    assert isinstance(answer, Undeliverable)
    assert answer.facts == {"province": province}
    assert answer.sentence("zh") == f"暂不支持配送至{province}"


@pytest.mark.parametrize("province", ["Taiwan", "Xinjiang", "疆新", "新 土疆", "-"])
def test_what_is_no_province_could_be_any_where_they_are_told_apart(province: str) -> None:
    assert isinstance(fen(1, 100, province), Undeliverable)


def test_a_shop_that_knows_no_provinces_of_china_sends_anywhere_it_does_not_leave_out() -> None:
    abroad = Template(
        SIMPLE.rate,
        Regions([Override(provinces=["Hawaii"], first_g=1, first_fen=99, extra_g=1, extra_fen=0)], ["Guam"]),
    )
    prices = [freight.price(abroad, weight_g=1, goods_fen=1, province=name) for name in ("Utah", "Hawaii", "Guam")]
    assert prices[:2] == [800, 99]
    assert isinstance(prices[2], Undeliverable)


def test_a_place_of_its_own_that_the_template_names_has_its_rate() -> None:
    named = Template(
        SIMPLE.rate,
        Regions(
            [Override(provinces=["新疆", "三沙"], first_g=1, first_fen=99, extra_g=1, extra_fen=0)],
        ),
    )
    assert freight.price(named, weight_g=1, goods_fen=1, province="三沙") == 99


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("北京市", "北京"),
        ("广西壮族自治区", "广西"),
        ("香港特别行政区", "香港"),
        ("省", "省"),
        ("Utah", "Utah"),
        ("中國廣東省", "广东"),
    ],
)
def test_endings_do_not_count(name: str, plain: str) -> None:
    assert provinces.plain(name) == plain


def test_there_are_34_provinces_and_none_begins_another() -> None:
    assert len(provinces.PROVINCES) == 34
    assert all(provinces.plain(name) == name for name in provinces.PROVINCES)


@given(st.integers(0, 10**9), st.integers(0, 10**12), st.sampled_from(["浙江", "新疆", "西藏自治区"]))
def test_a_price_is_never_negative_and_grows_with_weight(weight_g: int, goods_fen: int, province: str) -> None:
    def at(weight: int) -> int:
        answer = freight.price(STANDARD, weight_g=weight, goods_fen=goods_fen, province=province)
        assert isinstance(answer, int)
        return answer

    assert 0 <= at(weight_g) <= at(weight_g + 1)
