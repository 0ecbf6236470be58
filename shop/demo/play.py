"""Plays the story on a stage, a progress line a step, and audits the books afterwards."""

import asyncio
import secrets
import sys
import time

from shop.demo import stage
from shop.demo.people import Client, Phone, Surprise
from shop.demo.stage import Stage
from shop.demo.story import Story
from shop.doctor import audit


def run() -> int:
    """0 when everything went as it should and the audit is clean, else 1."""
    began = time.monotonic()
    with stage.find() as found:
        where = "a shop of its own, in a temporary folder" if found.own else f"the shop at {found.api_url}"
        _say(f"The demo plays on {where}.")
        try:
            _play(found)
        except Surprise as surprise:
            _say(f"  ✗ {surprise}")
            return 1
        clean = _audit(found.database_url)
    _say(f"Done in {time.monotonic() - began:.0f} s." if clean else "The audit found something off.")
    return 0 if clean else 1


def _play(found: Stage) -> None:
    buyer, operator, phone = Client(found.api_url), Client(found.api_url), Phone(found.sandbox_url)
    story = Story(buyer, operator, phone, lambda line: _say(f"  ✓ {line}"))
    try:
        story.sign_in(f"demo-{secrets.token_hex(4)}", found.login, found.password)
        story.browse()
        story.fill_cart()
        order = story.order_from_cart()
        story.pay(order)
        story.ship_and_receive(order)
        story.refund_a_line(order)
        story.cancel_a_second()
        story.pay_a_third_too_late()
        story.audit_log(order)
    finally:
        for client in (buyer, operator, phone):
            client.close()


def _audit(database_url: str) -> bool:
    """In SQL: money in = money owed + money back; stock moved = goods sold; and all that must hold besides."""
    report = asyncio.run(audit.take(database_url))
    _say("Audit in SQL:")
    for line in audit.lines(report):
        _say(line)
    return report.holds


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
