"""Asking for a bill, and fetching it: ``GET /v3/bill/{tradebill,fundflowbill}``, ``GET /v3/billdownload/file``."""

import re
import secrets
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sandbox.pay import parties, refusals
from sandbox.pay.bills import making
from sandbox.pay.bills.making import Kind
from sandbox.pay.exchange import Call, Download
from sandbox.pay.route import here
from sandbox.pay.sharing import steps
from sandbox.world import World

READY_S = 10 * 3600
LIFE_S = 300
OLDEST_DAYS = 92
"""Three months."""
PART_BYTES = 64 * 1024
VARIANTS: dict[Kind, tuple[str, ...]] = {
    "trade": ("ALL", "SUCCESS", "REFUND"),
    "fund_flow": ("BASIC", "OPERATION", "FEES"),
    "sharing": ("ALL",),
}
SPECIAL = {"RECHARGE_REFUND", "ALL_SPECIAL", "SUC_SPECIAL", "REF_SPECIAL"}


@dataclass(frozen=True)
class Ticket:
    """What a download address opens, for five minutes."""

    path: Path
    zipped: bool
    valid_until: float


def trade(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/bill/tradebill``."""
    if call.query.get("bill_type") in SPECIAL:
        raise parties.no_auth("商户无此账单类型的权限")
    if "sub_mchid" in call.query:
        parties.check_sub(world, dict(call.query), location="query")
    return _ask(world, call, "trade", "bill_type")


def fund_flow(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/bill/fundflowbill``."""
    return _ask(world, call, "fund_flow", "account_type")


def sharing(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/profitsharing/bills``; of a partner, all sub-merchants' or one's."""
    steps.settle_due(world)
    if "sub_mchid" in call.query:
        parties.check_sub(world, dict(call.query), location="query")
    return _ask(world, call, "sharing", "variant")


def download(world: World, call: Call) -> Download:
    """``GET /v3/billdownload/file?token=``: the file, unsigned; gzip when it was asked for so."""
    ticket = world.tickets.get(call.query.get("token", ""))
    if ticket is None or ticket.valid_until < world.clock.now() or not ticket.path.exists():
        raise refusals.invalid("下载链接无效或已过期，请重新申请账单")
    kind = "application/x-gzip" if ticket.zipped else "text/plain; charset=utf-8"
    if ticket.path.stat().st_size <= PART_BYTES:
        return Download(b"".join(_parts(ticket)), kind)
    return Download(b"", kind, parts=_parts(ticket))


def _ask(world: World, call: Call, kind: Kind, name: str) -> dict[str, Any]:
    day = _day(call.query["bill_date"])
    variant = _one_of(call, name, VARIANTS[kind], VARIANTS[kind][0])
    zipped = "tar_type" in call.query and _one_of(call, "tar_type", ("GZIP",), "") == "GZIP"
    bill = _bill(world, kind, variant, day)
    if bill["rows"] == 0:
        raise refusals.Refusal(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    token = secrets.token_urlsafe(30)
    now = world.clock.now()
    for old in [name for name, ticket in world.tickets.items() if ticket.valid_until < now]:
        del world.tickets[old]
    world.tickets[token] = Ticket(world.folder / "bills" / bill["file"], zipped, now + LIFE_S)
    query = {"token": token, **({"tartype": "gzip"} if zipped else {})}
    url = f"{here(world, call)}/v3/billdownload/file?{urlencode(query)}"
    return {"hash_type": "SHA1", "hash_value": bill["sha1"], "download_url": url}


def _bill(world: World, kind: Kind, variant: str, day: date) -> Any:
    """The bill as published by hand, or, once its time has come, as everybody gets it."""
    now, (_, end) = world.clock.now(), making.bounds(day)
    known = making.find(world, kind, variant, day)
    if now >= end + READY_S:
        if now > end + OLDEST_DAYS * 86400:
            raise refusals.invalid("账单日期超过三个月，无法下载")
        fresh = known is not None and known["made_at"] >= end + making.MADE_S
        return known if fresh else making.make(world, kind, variant, day, end + making.MADE_S)
    published = "SELECT published_at FROM bill_days WHERE kind = ? AND day = ? AND published_at IS NOT NULL"
    by_hand = world.db.row(published, kind, str(day))
    if by_hand:
        return known or making.make(world, kind, variant, day, by_hand["published_at"])
    if now < end:
        raise refusals.invalid("账单日期必须早于今天")
    raise refusals.Refusal(400, "STATEMENT_CREATING", "账单生成中")


def _day(value: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise refusals.param_error("账单日期格式应为yyyy-MM-dd", field="bill_date", value=value, location="query")


def _one_of(call: Call, name: str, words: tuple[str, ...], absent: str) -> str:
    value = call.query.get(name, absent)
    if value not in words:
        message = f"输入源“/query/{name}”映射到值字段“{name}”枚举值不在取值范围 {'、'.join(words)} 内"
        raise refusals.param_error(message, field=name, value=value, location="query")
    return value


def _parts(ticket: Ticket) -> Iterator[bytes]:
    pack = zlib.compressobj(wbits=31) if ticket.zipped else None
    with ticket.path.open("rb") as file:
        while part := file.read(PART_BYTES):
            if pack is None:
                yield part
            elif packed := pack.compress(part):
                yield packed
    if pack is not None:
        yield pack.flush()
