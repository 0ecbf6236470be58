"""Titles of goods, varied so that a two-character search finds between a few and a few hundred of ten thousand.

How a title is cut into terms is written here a second time, after what `catalog/search.py` says of itself: the bench
loads products past the shop, and imports none of it. Only the characters that occur in these words are dealt with.
"""

import re
from collections.abc import Iterator

_SERIES = (
    "春集夏集秋集冬集山野海盐晨光月白青禾松间云栖半亩拾光南风北窗听雨竹影花朝"
    "栖木望舒清和谷雨白露霜降立夏小满芒种惊蛰长庚远山浅川野渡归燕初雪暖阳星河"
)
_TRAITS = (
    "手工轻薄加厚便携防水透气柔软耐磨复古极简国风北欧日式美式儿童成人男款女款"
    "家用商务户外旅行办公居家运动学生孕妇老人宠物车载厨房浴室客厅卧室阳台书房"
    "有机天然低糖无糖全麦高钙浓香清香特级一级精选优选热卖新款经典限量联名礼盒"
)
_NOUNS = (
    "绿茶红茶白茶乌龙普洱花茶咖啡可可奶粉麦片坚果果干蜜饯饼干糕点糖果巧克肉脯海苔辣条"
    "大米面粉杂粮食油酱油香醋调料干货罐头方便火腿香肠腊肉鱼干虾皮紫菜木耳香菇银耳红枣"
    "床品被套枕头毛毯凉席窗帘地毯抱枕毛巾浴巾拖鞋雨伞水杯茶壶茶杯餐盘饭碗筷子刀具砧板"
    "炒锅汤锅蒸锅烤箱电饭豆浆榨汁水壶风扇空调暖器加湿净化吸尘扫地台灯吊灯落灯插座电池"
    "手机平板电脑键盘鼠标耳机音箱相机镜头支架数据充电硬盘内存显卡主板机箱路由网卡投影打印"
    "钢笔铅笔毛笔墨水笔记本子便签胶带剪刀尺子书包文件台历贺卡信封拼图积木玩偶模型棋盘"
    "衬衫卫衣外套风衣羽绒毛衣长裤短裤牛仔裙子袜子帽子围巾手套皮带皮鞋球鞋凉鞋靴子背包"
    "洁面面膜精华乳液面霜防晒口红眼影粉底卸妆香水洗发护发沐浴手霜牙膏牙刷棉签纸巾湿巾"
)
_ENGLISH = [
    "Aurora",
    "Basil",
    "Cedar",
    "Delta",
    "Ember",
    "Fjord",
    "Ginkgo",
    "Harbor",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Linen",
    "Maple",
    "Nimbus",
    "Opal",
    "Pebble",
    "Quartz",
    "Raven",
    "Sable",
    "Thistle",
    "Umber",
    "Velvet",
    "Willow",
    "Xenia",
    "Yarrow",
    "Zephyr",
    "Alder",
    "Birch",
    "Coral",
    "Dune",
    "Echo",
    "Fern",
    "Grove",
    "Hazel",
    "Iris",
    "Jade",
    "Koi",
    "Lotus",
    "Moss",
    "Nova",
    "Olive",
    "Pine",
    "Quill",
    "Reed",
    "Sage",
    "Teal",
    "Unity",
    "Vale",
    "Wren",
    "Yuzu",
    "Zen",
    "Atlas",
    "Bloom",
    "Crane",
    "Dawn",
    "Elm",
    "Flint",
    "Glow",
    "Halo",
    "Isle",
    "Jasper",
    "Kite",
    "Lark",
    "Mist",
    "North",
    "Orchid",
    "Poppy",
    "Rain",
    "Stone",
    "Tide",
    "Vista",
    "Wave",
    "Air",
    "Max",
    "Pro",
    "Mini",
]
SIZES = ("小号", "中号", "大号")


def _pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(0, len(text) - 1, 2)]


SERIES, TRAITS, NOUNS = _pairs(_SERIES), _pairs(_TRAITS), _pairs(_NOUNS)

TOPS, MIDDLES, LEAVES = 10, 50, 200
"""Categories of each level: five middles under a top, four leaves under a middle."""


def leaf_name(leaf: int) -> str:
    """The goods of leaf 0 … 199 are called by it too."""
    return NOUNS[leaf % len(NOUNS)]


def searched() -> list[str]:
    """What the search workload asks for: every two-character Chinese word and every English one."""
    return sorted({*SERIES, *TRAITS, *(leaf_name(leaf) for leaf in range(LEAVES)), *_ENGLISH})


def title(product: int) -> str:
    """The title of product 1, 2, …; the next is in another category, and repeats come late."""
    n = product - 1
    series = SERIES[(n * 7 + n // 200) % len(SERIES)]
    trait = TRAITS[(n * 11 + n // 61) % len(TRAITS)]
    english = _ENGLISH[(n * 13 + n // 37) % len(_ENGLISH)]
    return f"{series} {trait}{leaf_name(n % LEAVES)} {english} {100 + n // LEAVES}"


def subtitle(product: int) -> str:
    """A line below the title."""
    n = product - 1
    return f"{TRAITS[(n * 5 + 3) % len(TRAITS)]}之选，{SERIES[(n * 3) % len(SERIES)]}系列"


_RUNS = re.compile(r"[\u4e00-\u9fff]+|[^\W_\u4e00-\u9fff]+")
_PIECES = re.compile(r"\d+|\D+")


def _terms(text: str) -> Iterator[str]:
    for run in _RUNS.findall(text.casefold()):
        if "\u4e00" <= run[0] <= "\u9fff":
            yield from run
            yield from (run[i : i + 2] for i in range(len(run) - 1))
        else:
            yield from (run, *_PIECES.findall(run))


def document(product: int) -> str:
    """The text of the product's `tsvector`: the title's terms carry weight A."""
    named = set(_terms(title(product)))
    rest = {term for text in (subtitle(product), *SIZES) for term in _terms(text)} - named
    return " ".join([f"'{term}':1A" for term in sorted(named)] + [f"'{term}':1" for term in sorted(rest)])
