"""Receipts of transfers: applied for, made a little later, fetched as a PDF."""

import hashlib
import secrets
import sqlite3
from typing import Any
from urllib.parse import urlencode

from sandbox.clock import on_the_wire
from sandbox.pay import refusals
from sandbox.pay.exchange import Call, Download
from sandbox.pay.route import here
from sandbox.pay.transfers import bills, states
from sandbox.world import World

TOKEN_S = 600


def apply(world: World, call: Call) -> dict[str, Any]:
    """``POST …/elecsign/{out-bill-no,transfer-bill-no}``, for a transfer that succeeded. Again is fine."""
    states.settle_due(world)
    number = call.json.get("out_bill_no") or bills.number_of(world, call.json["transfer_bill_no"])
    transfer = states.find(world, number)
    if transfer is None:
        raise bills.unknown()
    if transfer["state"] != "SUCCESS":
        raise refusals.invalid("转账单未成功，不能申请电子回单")
    now = world.clock.now()
    sql = "INSERT INTO transfer_receipts (out_bill_no, created_at, ready_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    world.db.write(sql, number, now, now + world.knobs.transfer_delay_s)
    return _view(world, _get(world, number))


def look_up(world: World, call: Call) -> dict[str, Any]:
    """``GET …/elecsign/{out-bill-no,transfer-bill-no}/{…}``: once it is FINISHED, with a fresh address."""
    named = call.params.get("transfer_bill_no")
    receipt = _get(world, bills.number_of(world, named) if named else call.params["out_bill_no"])
    content = _view(world, receipt)
    if content["state"] == "FINISHED":
        token = secrets.token_urlsafe(24)
        sql = "UPDATE transfer_receipts SET token = ?, token_until = ? WHERE out_bill_no = ?"
        world.db.write(sql, token, world.clock.now() + TOKEN_S, receipt["out_bill_no"])
        digest = hashlib.sha256(_pdf(world, receipt["out_bill_no"])).hexdigest()
        url = f"{here(world, call)}/v3/transferdownload/signfile?{urlencode({'token': token})}"
        content |= {"hash_type": "SHA256", "hash_value": digest, "download_url": url}
    return content


def download(world: World, call: Call) -> Download:
    """``GET /v3/transferdownload/signfile?token=``: unsigned, like every file."""
    sql = "SELECT out_bill_no FROM transfer_receipts WHERE token = ? AND token_until >= ?"
    found = world.db.row(sql, call.query["token"], world.clock.now())
    if found is None:
        raise refusals.invalid("下载链接无效或已过期，请重新查询电子回单")
    return Download(_pdf(world, found["out_bill_no"]), "application/pdf")


def _get(world: World, out_bill_no: str) -> sqlite3.Row:
    receipt = world.db.row("SELECT * FROM transfer_receipts WHERE out_bill_no = ?", out_bill_no)
    if receipt is None:
        raise bills.unknown()
    return receipt


def _view(world: World, receipt: sqlite3.Row) -> dict[str, Any]:
    done = receipt["ready_at"] <= world.clock.now()
    return {
        "state": "FINISHED" if done else "GENERATING",
        "create_time": on_the_wire(receipt["created_at"]),
        "update_time": on_the_wire(receipt["ready_at"] if done else receipt["created_at"]),
    }


def _pdf(world: World, out_bill_no: str) -> bytes:
    """One page, the same bytes whenever it is asked for."""
    transfer = states.find(world, out_bill_no)
    assert transfer is not None
    facts = {
        "Transfer receipt": "sandbox",
        "Merchant": world.keys.identity.mch_id,
        "Bill": out_bill_no,
        "WeChat bill": transfer["transfer_bill_no"],
        "Payee": transfer["openid"],
        "Amount": f"CNY {transfer['amount'] / 100:.2f}",
        "Time": on_the_wire(transfer["updated_at"]),
    }
    lines = "".join(f"({name}: {value}) Tj T*\n" for name, value in facts.items())
    page = f"BT /F1 12 Tf 18 TL 72 760 Td\n{lines}ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n"
    return body + head + b"%d\n%%%%EOF\n" % len(body)
