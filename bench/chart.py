"""`chart.svg`: how near each workload comes to its limit, and the mark it must reach. Readable on light and on dark."""

from html import escape

from bench.measuring import Row

_WIDTH, _LEFT, _RIGHT = 860, 330, 110
_ROW, _BAR, _TOP = 30, 16, 44
_FONTS = "-apple-system, Segoe UI, Helvetica, Arial, sans-serif"
_WORDS = "#7d8590"  # grey enough for both grounds
_LINES = "#7d859055"
_BARS = {True: "#2da44e", False: "#d1732a", None: "#6e7f95"}
_MOST = 1.25
"""Of the limit: longer bars are cut."""


def draw(rows: list[Row], under: str) -> str:
    """The chart of those rows that have a limit; `under` names the machine."""
    shown = [row for row in rows if row.ratio is not None and not row.errors]
    height = _TOP + len(shown) * _ROW + 40
    bottom = _TOP + len(shown) * _ROW
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONTS}" font-size="13">',
        f'<text x="{_LEFT}" y="18" fill="{_WORDS}">rate, of what the limit beside it does; the mark is what is demanded</text>',
    ]
    for percent in (0, 25, 50, 75, 100):
        x = _at(percent / 100)
        parts.append(f'<path d="M{x} {_TOP - 8}V{bottom}" stroke="{_LINES}"/>')
        parts.append(
            f'<text x="{x}" y="{_TOP - 12}" fill="{_WORDS}" text-anchor="middle" font-size="11">{percent} %</text>'
        )
    for place, row in enumerate(shown):
        parts += _bar(row, _TOP + place * _ROW)
    parts.append(f'<text x="12" y="{height - 12}" fill="{_WORDS}" font-size="11">{escape(under)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _at(ratio: float) -> float:
    return round(_LEFT + min(ratio, _MOST) / _MOST * (_WIDTH - _LEFT - _RIGHT), 1)


def _bar(row: Row, top: int) -> list[str]:
    assert row.ratio is not None
    middle = top + _ROW / 2
    end = _at(row.ratio)
    words = f"{row.key}  {row.what.partition(':')[0]}"
    across = f'width="{round(end - _LEFT, 1)}" height="{_BAR}" rx="3"'
    beside = max(end, _at(row.wanted or 0)) + 10
    figures = f"{row.ratio:.0%} · {row.median('rate'):,.0f}/s"
    found = [
        f'<text x="{_LEFT - 10}" y="{middle + 4}" fill="{_WORDS}" text-anchor="end">{escape(words)}</text>',
        f'<rect x="{_LEFT}" y="{middle - _BAR / 2}" {across} fill="{_BARS[row.passed]}"/>',
        f'<text x="{beside}" y="{middle + 4}" fill="{_WORDS}">{figures}</text>',
    ]
    if row.wanted is not None:
        mark = _at(row.wanted)
        found.append(f'<path d="M{mark} {middle - 12}V{middle + 12}" stroke="{_WORDS}" stroke-width="2.5"/>')
    return found
