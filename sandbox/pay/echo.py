"""``POST /v3/security/echo``: a merchant's self-test of keys, encryption and notification; it moves no money."""

import json
from typing import Any

from sandbox.notices import outbox
from sandbox.pay import numbers, sealed_fields
from sandbox.pay.exchange import Call
from sandbox.world import World

ENCRYPTED = "/encrypted_echo_message"


def answer(world: World, call: Call) -> dict[str, Any]:
    """Repeat the message; the encrypted one comes back encrypted to the merchant, and by a notice if one is wanted."""
    sealed_fields.key_named(world, call)  # the header is required even when nothing is encrypted
    content = {"echo_message": call.json["echo_message"]}
    told = dict(content)
    if ENCRYPTED in call.opened:
        content["encrypted_echo_message"] = sealed_fields.to_merchant(world, call.opened[ENCRYPTED])
        told["encrypt_echo_message"] = sealed_fields.to_merchant(
            world, call.opened[ENCRYPTED]
        )  # spelt so in the notice
    if "notify_url" in call.json:
        with world.db.transaction():
            outbox.post(
                world,
                kind="security",
                subject=numbers.request_id(0),
                url=call.json["notify_url"],
                event_type="SECURITY_ECHO.SUCCESS",
                summary="安全回显成功",
                plaintext=json.dumps(told, ensure_ascii=False),
            )
    return content
