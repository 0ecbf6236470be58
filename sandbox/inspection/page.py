"""``/inspect``: recent calls, wrong signatures with their reason, orders, refunds and notifications, as plain HTML."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from sandbox.clock import BEIJING, on_the_wire
from sandbox.control import mail, money
from sandbox.world import World

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SHOWN = 100
PARTS = {
    "calls": "调用 Calls",
    "signatures": "验签失败 Wrong signatures",
    "orders": "订单 Orders",
    "refunds": "退款 Refunds",
    "notifications": "通知 Notifications",
}


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The page and its style."""

    @get("/inspect", include_in_schema=False)
    async def page() -> Response[str]:
        return Response(_page(world), media_type="text/html; charset=utf-8", headers=HEADERS)

    @get("/inspect/page.css", include_in_schema=False)
    async def style() -> Response[bytes]:
        css = (Path(__file__).parent / "page.css").read_bytes()
        return Response(css, media_type="text/css; charset=utf-8", headers=HEADERS)

    return [page, style]


def _page(world: World) -> str:
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in PARTS.items())
    bodies = [_calls(world), _signatures(world), _orders(world), _refunds(world), _notifications(world)]
    parts = "".join(
        f'<section id="{name}"><h2>{title}</h2>{body}</section>'
        for (name, title), body in zip(PARTS.items(), bodies, strict=True)
    )
    who = f"{world.knobs.shop_name} · mchid {world.keys.identity.mch_id} · {on_the_wire(world.clock.now())}"
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>检查 Inspect</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/inspect/page.css"></head>'
        f'<body><h1>检查 Inspect</h1><p>{escape(who)}</p><nav>{links}<a href="/phone">手机 Phone</a>'
        f'<a href="/inspect">刷新 Reload</a></nav>{parts}</body></html>'
    )


def _calls(world: World) -> str:
    rows = [
        [
            _clock(call["at"]),
            call["method"],
            call["target"],
            _status(call.get("status")),
            call.get("code", ""),
            call.get("ms", "…"),
        ]
        for call in list(world.calls)[::-1][:SHOWN]
    ]
    return _table(["时间 At", "方法 Method", "路径 Path", "状态 Status", "错误码 Code", "毫秒 ms"], rows)


def _signatures(world: World) -> str:
    items = list(world.signature_failures)[::-1][:SHOWN]
    if not items:
        return _nothing()
    return "".join(_failure(item) for item in items)


def _failure(item: dict[str, Any]) -> str:
    head = f"{_clock(item['at'])} {item['method']} {item['url']}"
    facts = f"serial_no {item['serial_no']} · {item['body_bytes']} bytes"
    text = ""
    if item["verified"]:
        text = f"<p>验签文本 What was verified:</p><pre>{_visible(str(item['verified']))}</pre>"
    return (
        f'<article><p class="mono">{escape(head)}</p><p class="bad">{escape(str(item["why"]))}</p>'
        f"<p><strong>原因 Why: {escape(str(item['hint']))}</strong></p><p>{escape(facts)}</p>{text}</article>"
    )


def _visible(text: str) -> str:
    """Every line end as a sign."""
    return escape(text).replace("\r", "<b>\\r</b>").replace("\n", "<b>\\n</b>\n")


def _orders(world: World) -> str:
    return _listing(
        {
            "created_at": "时间 At",
            "out_trade_no": "商户订单号 Number",
            "trade_type": "类型 Type",
            "description": "商品 Description",
            "amount": "分 Fen",
            "state": "状态 State",
            "transaction_id": "微信订单号 Transaction",
            "paid_at": "支付时间 Paid",
        },
        money.list_payments(world, None, SHOWN),
    )


def _refunds(world: World) -> str:
    items = money.list_refunds(world, SHOWN)
    return _listing(
        {
            "create_time": "时间 At",
            "out_refund_no": "商户退款单号 Number",
            "out_trade_no": "商户订单号 Order",
            "fen": "分 Fen",
            "status": "状态 Status",
            "refund_id": "微信退款单号 Refund",
            "success_time": "成功时间 Done",
        },
        [item | {"fen": item["amount"]["refund"]} for item in items],
    )


def _notifications(world: World) -> str:
    items = mail.list_notices(world, limit=SHOWN)
    return _listing(
        {
            "created_at": "时间 At",
            "event_type": "事件 Event",
            "subject": "单号 Subject",
            "url": "地址 URL",
            "state": "状态 State",
            "tries": "投递 Attempts",
            "next_at": "下次 Next",
        },
        [item | {"tries": "\n".join(_attempt(each) for each in item["attempts"])} for item in items],
    )


def _listing(columns: dict[str, str], items: list[dict[str, Any]]) -> str:
    return _table(list(columns.values()), [[item.get(name) for name in columns] for item in items])


def _attempt(each: dict[str, Any]) -> str:
    said = each["error"] or f"{each['status']} {each['answer']}".strip()
    return f"{each['at']} {each['variant'] or ''} {said} ({each['took_ms']} ms)"


def _table(names: list[str], rows: Iterable[list[Any]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    if not body:
        return _nothing()
    return (
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead><tbody>{body}</tbody></table>"
    )


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _cell(value: Any) -> str:
    if isinstance(value, _Html):
        return value
    return "" if value is None else escape(str(value)).replace("\n", "<br>")


def _status(status: int | None) -> str:
    if not status:
        return "…"
    return _Html(f'<span class="{"good" if 200 <= status < 300 else "bad"}">{int(status)}</span>')


def _nothing() -> str:
    return '<p class="empty">暂无 Nothing yet.</p>'


def _clock(moment: Any) -> str:
    """Wall clock, as a developer's own log has it."""
    return datetime.fromtimestamp(float(moment), BEIJING).strftime("%m-%d %H:%M:%S")
