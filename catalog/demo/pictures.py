"""The demo shop's pictures: drawn here as SVG, the same each time. A gradient, a simple motif, the product's name."""

import hashlib
from html import escape

_HUES = {"茶饮": 128, "咖啡": 24, "零食": 42, "家居": 172, "数码配件": 222, "文具": 262, "服饰": 338, "美妆": 350}
_LINE = 'fill="none" stroke="#fff" stroke-width="9" stroke-linecap="round"'
_MOTIFS = {
    "茶饮": '<path d="M35 85h105v38a52 52 0 0 1-105 0z"/><path d="M140 96h14a18 18 0 0 1 0 36h-18" {line}/>'
    '<path d="M62 64q-11-15 0-32M87 64q-11-15 0-32M112 64q-11-15 0-32" {line}/>',
    "咖啡": '<ellipse cx="80" cy="92" rx="42" ry="62" transform="rotate(-28 80 92)"/>'
    '<ellipse cx="136" cy="132" rx="30" ry="44" transform="rotate(30 136 132)" opacity=".7"/>',
    "零食": '<circle cx="92" cy="102" r="64"/><g fill="#0003"><circle cx="68" cy="82" r="9"/>'
    '<circle cx="108" cy="70" r="7"/><circle cx="118" cy="112" r="10"/><circle cx="78" cy="124" r="8"/></g>',
    "家居": '<path d="M62 28h76l28 74H34zM92 102h16v50H92z"/><rect x="58" y="152" width="84" height="16" rx="8"/>',
    "数码配件": '<rect x="58" y="18" width="84" height="164" rx="18"/><rect x="68" y="36" width="64" height="116" rx="6"'
    ' fill="#0002"/><circle cx="100" cy="167" r="7" fill="#0003"/>',
    "文具": '<g transform="rotate(38 100 100)"><path d="M84 14h32v124l-16 36-16-36z"/>'
    '<path d="M84 34h32" stroke="#0003" stroke-width="8"/></g>',
    "服饰": '<path d="M70 28 18 60l20 40 22-12v86h80V88l22 12 20-40-52-32a30 26 0 0 1-60 0z"/>',
    "美妆": '<rect x="82" y="16" width="36" height="34" rx="5" opacity=".75"/>'
    '<rect x="54" y="58" width="92" height="124" rx="18"/><rect x="70" y="98" width="60" height="44" rx="6" fill="#0002"/>',
    # More particular than the category above:
    "原叶茶": '<path d="M30 168C12 84 74 26 176 24c4 92-44 152-118 136"/><path d="M44 178 128 78" {line} stroke-opacity=".5"/>',
    "咖啡器具": '<path d="M58 70h78l14 98H44z"/><path d="M58 92C22 80 30 50 8 44" {line}/>'
    '<path d="M140 84h26v56h-20" {line}/><rect x="78" y="48" width="38" height="16" rx="8"/>',
    "床品布艺": '<rect x="24" y="112" width="152" height="44" rx="20"/><rect x="24" y="62" width="152" height="44" rx="20"'
    ' opacity=".8"/><path d="M44 84h70M44 134h70" stroke="#0003" stroke-width="6" stroke-linecap="round"/>',
    "收纳餐厨": '<path d="M24 82h152a76 76 0 0 1-152 0z"/><rect x="68" y="160" width="64" height="14" rx="7"/>'
    '<path d="M118 66 168 18M136 68l44-34" {line}/>',
    "充电": '<rect x="62" y="64" width="76" height="76" rx="16"/><rect x="76" y="30" width="12" height="34" rx="4"/>'
    '<rect x="112" y="30" width="12" height="34" rx="4"/><path d="M100 140v44" {line}/>'
    '<path d="m104 76-22 30h16l-6 24 24-32h-16z" fill="#0004"/>',
    "影音": '<path d="M34 122a66 66 0 0 1 132 0" {line}/><rect x="22" y="112" width="36" height="62" rx="16"/>'
    '<rect x="142" y="112" width="36" height="62" rx="16"/>',
    "纸品": '<rect x="44" y="24" width="118" height="152" rx="10"/><path d="M66 24v152" stroke="#0003" stroke-width="6"/>'
    '<path d="M84 66h56M84 92h56M84 118h36" stroke="#0003" stroke-width="7" stroke-linecap="round"/>',
    "配饰": '<path d="M36 76h128l12 104H24z"/><path d="M68 76V58a32 32 0 0 1 64 0v18" {line}/>',
    "彩妆": '<path d="M80 92V44l40-24v72z" opacity=".8"/><rect x="70" y="92" width="60" height="28" rx="3"/>'
    '<rect x="62" y="124" width="76" height="58" rx="8"/>',
}
_COLOURS = {
    "白": "#f3f1ea", "黑": "#33343a", "灰": "#9aa0a6", "银": "#b9bfc6", "蓝": "#7d9cb8", "藏青": "#2f4468",
    "绿": "#5f8a72", "粉": "#dfa9ae", "红": "#b5524f", "紫": "#9b8fb8", "橙": "#e09a5b", "卡其": "#b9a27c",
    "焦糖": "#b0763f", "木": "#a9825a", "莫兰迪": "#a7a596",
}  # fmt: skip
_SIDE = 800


def name_of(svg: str) -> str:
    """By content, so that a name never comes to mean another picture."""
    return f"demo-{hashlib.blake2b(svg.encode(), digest_size=8).hexdigest()}.svg"


def product(top: str, middle: str, title: str, subtitle: str, view: int) -> str:
    """Square. `view` 0 is the cover; others turn the same motif and colours."""
    hue = (_HUES[top] + _turn(title) + view * 18) % 360
    ground = _gradient(f"hsl({hue} 46% {64 - view * 4}%)", f"hsl({(hue + 34) % 360} 52% {40 - view * 3}%)", view)
    where = [(200, 130, 2.0), (70, 60, 2.6), (330, 150, 2.2)][view % 3]
    motif = _motif(top, middle, *where, opacity=0.92 if view == 0 else 0.55)
    return _svg(_SIDE, ground + _bubbles(hue, title) + motif + _caption(title, subtitle))


def colour(top: str, middle: str, title: str, name: str) -> str:
    """The product in one of its colours, for the SKU picker."""
    tone = next((code for word, code in _COLOURS.items() if word in name), "#c9b79c")
    ground = f'<rect width="800" height="800" fill="#eceae6"/><circle cx="400" cy="310" r="262" fill="{tone}"/>'
    return _svg(_SIDE, ground + _motif(top, middle, 210, 120, 1.9, opacity=0.85) + _caption(title, name, dark=True))


def detail(top: str, middle: str, title: str, facts: list[str]) -> str:
    """Tall: what stands below the fold of a product's page."""
    hue = (_HUES[top] + _turn(title)) % 360
    rows = "".join(
        f'<circle cx="90" cy="{418 + i * 90}" r="10" fill="hsl({hue} 46% 46%)"/>'
        f'<text x="124" y="{430 + i * 90}" font-size="34" fill="#444">{escape(fact)}</text>'
        for i, fact in enumerate(facts)
    )
    head = f'<rect width="800" height="300" fill="hsl({hue} 42% 50%)"/>' + _motif(
        top, middle, 580, 70, 0.85, opacity=0.8
    )
    words = f'<text x="60" y="170" font-size="46" font-weight="700" fill="#fff">{escape(title[:14])}</text>'
    height = 440 + 90 * len(facts)
    return _svg(height, f'<rect width="800" height="{height}" fill="#faf9f6"/>{head}{words}{rows}')


def category(top: str, middle: str, name: str) -> str:
    hue = (_HUES[top] + _turn(name)) % 360
    ground = _gradient(f"hsl({hue} 50% 72%)", f"hsl({hue} 46% 50%)", 0)
    return _svg(_SIDE, ground + _motif(top, middle, 160, 160, 2.4, opacity=0.95))


def _turn(words: str) -> int:
    return hashlib.blake2b(words.encode(), digest_size=1).digest()[0] % 50 - 25


def _svg(height: int, content: str) -> str:
    fonts = "PingFang SC, Noto Sans CJK SC, Microsoft YaHei, sans-serif"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{height}" viewBox="0 0 800 {height}"'
    return f'{opening} font-family="{fonts}">{content}</svg>\n'


def _gradient(light: str, deep: str, view: int) -> str:
    ends = ['x1="0" y1="0" x2="1" y2="1"', 'x1="1" y1="0" x2="0" y2="1"', 'x1="0" y1="1" x2="1" y2="0"'][view % 3]
    stops = f'<stop stop-color="{light}"/><stop offset="1" stop-color="{deep}"/>'
    return f'<defs><linearGradient id="g" {ends}>{stops}</linearGradient></defs><rect width="800" height="800" fill="url(#g)"/>'


def _bubbles(hue: int, words: str) -> str:
    places = hashlib.blake2b(words.encode(), digest_size=9).digest()
    return "".join(
        f'<circle cx="{places[i] * 3}" cy="{places[i + 1] * 3}" r="{40 + places[i + 2] // 2}"'
        f' fill="hsl({hue} 70% 88%)" opacity=".16"/>'
        for i in range(0, 9, 3)
    )


def _motif(top: str, middle: str, x: int, y: int, scale: float, *, opacity: float) -> str:
    drawing = _MOTIFS.get(middle, _MOTIFS[top]).replace("{line}", _LINE)
    return f'<g transform="translate({x} {y}) scale({scale})" fill="#fff" opacity="{opacity}">{drawing}</g>'


def _caption(title: str, under: str, *, dark: bool = False) -> str:
    ink = "#333" if dark else "#fff"
    size = 58 if len(title) <= 11 else 44
    return (
        f'<text x="400" y="664" text-anchor="middle" font-size="{size}" font-weight="700" fill="{ink}">{escape(title)}</text>'
        f'<text x="400" y="726" text-anchor="middle" font-size="30" fill="{ink}" opacity=".85">{escape(under)}</text>'
    )
