"""A visit of the doctor, and settings that are right but for something."""

import dataclasses
import time
from typing import Any

from shop.doctor import visit
from shop.doctor.findings import Finding
from shop.settings import Settings


def but(settings: Settings, **changed: Any) -> Settings:
    """`settings` with other values, those of the merchant and of the Mini Program too."""
    names = {field.name for field in dataclasses.fields(settings.pay)} - {"url"}
    pay = {name: value for name, value in changed.items() if name in names}
    if "pay_url" in changed:
        pay["url"] = changed.pop("pay_url")
    account = {name: changed.pop(name) for name in ("app_id", "app_secret") if name in changed}
    rest = {name: value for name, value in changed.items() if name not in pay}
    return dataclasses.replace(
        settings,
        pay=dataclasses.replace(settings.pay, **pay),
        wechat=dataclasses.replace(settings.wechat, **account),
        **rest,
    )


class Found:
    """What the doctor found, by what it is about."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def bad(self) -> dict[str, str]:
        return {f.about: f.seen + " → " + f.todo for f in self.findings if f.verdict == "wrong"}

    def warned(self) -> dict[str, str]:
        return {f.about: f.seen + " → " + f.todo for f in self.findings if f.verdict == "warning"}

    def good(self) -> set[str]:
        return {f.about for f in self.findings if f.verdict == "ok"}


async def examined(settings: Settings, *, off_s: float = 0.0, wait_s: float = 8.0) -> Found:
    """A visit; every finding that is not ok says what to do."""
    found = await visit.examine(settings, wait_s=wait_s, wall_clock=lambda: time.time() + off_s)
    assert all(finding.todo for finding in found if finding.verdict != "ok"), found
    assert all(finding.seen and not finding.todo for finding in found if finding.verdict == "ok"), found
    return Found(found)
