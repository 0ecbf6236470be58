"""The provinces of China, however a client writes them. Pure.

Context: freight and where nothing is sent go by the province, which is a text of the buyer's. Decision: what looks the same
is the same (Unicode's compatibility forms; characters that are not seen do not count), traditional characters are as good
as simplified ones, and a province is known by the characters it begins with, so that 新疆, 新疆维吾尔 and 新疆维吾尔自治区
are one. Consequence: no spelling of a province gets another's price. Alternative: the codes of administrative divisions,
which a client may leave out.
"""

import unicodedata
from functools import lru_cache
from typing import Final

PROVINCES: Final = (
    "北京", "天津", "上海", "重庆", "河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西",
    "山东", "河南", "湖北", "湖南", "广东", "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海", "台湾", "内蒙古",
    "广西", "西藏", "宁夏", "新疆", "香港", "澳门",
)  # fmt: skip
"""All 34 by their common names. None begins another."""
_COUNTRY: Final = "中国"
_SIMPLIFIED: Final = str.maketrans("國慶遼寧龍蘇東廣貴雲陝肅臺台灣內門", "国庆辽宁龙苏东广贵云陕肃台台湾内门")
"""The characters of their names that are written otherwise in Hong Kong, Macao and Taiwan."""
_UNSEEN: Final = ("C", "M", "Z")
"""Unicode's categories of what is no sign of its own: controls and formats, marks (after composition), spaces."""


@lru_cache(maxsize=1024)
def plain(province: str) -> str:
    """The common name of one of the `PROVINCES`; what is none of them as it is, without what is not seen."""
    composed = unicodedata.normalize("NFKC", province)
    seen = "".join(sign for sign in composed if not unicodedata.category(sign).startswith(_UNSEEN))
    name = seen.translate(_SIMPLIFIED).removeprefix(_COUNTRY)
    return next((known for known in PROVINCES if name.startswith(known)), seen)
