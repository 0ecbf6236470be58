"""Levers on the world as a whole: health, clock, settings, faults, tokens."""

import re
from typing import Any

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from sandbox import happenings, keyring, merchant_env
from sandbox.clock import on_the_wire
from sandbox.control.levers import NotNow
from sandbox.faults import Fault
from sandbox.knobs import Knobs
from sandbox.miniprogram import tokens
from sandbox.world import World


class Jump(msgspec.Struct, forbid_unknown_fields=True):
    """How far business time moves on."""

    seconds: float


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""
    return [*_clock(world), *_settings(world), *_certificates(world), *_trouble(world)]


def _clock(world: World) -> list[ControllerRouterHandler]:
    def moment() -> dict[str, Any]:
        return {"offset_s": world.clock.offset_s, "now": on_the_wire(world.clock.now())}

    @get("/_sandbox/health", summary="200 when ready")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @get("/_sandbox/clock", summary="Business time")
    async def clock() -> dict[str, Any]:
        return moment()

    @post("/_sandbox/clock/advance", status_code=200, summary="Move business time on; what falls due happens at once")
    async def advance(data: JSONBody[Jump]) -> dict[str, Any]:
        try:
            world.clock.advance(data.seconds)
        except ValueError as why:
            raise NotNow(str(why)) from None
        happenings.settle_due(world)
        world.changed.set()
        return moment()

    return [health, clock, advance]


def _settings(world: World) -> list[ControllerRouterHandler]:
    @get("/_sandbox/settings", summary="How this world is tuned")
    async def settings() -> Knobs:
        return world.knobs

    @post("/_sandbox/settings", status_code=200, summary="Tune some of it; what is not named stays")
    async def tune(data: JSONBody[dict[str, Any]]) -> Knobs:
        wanted = msgspec.to_builtins(world.knobs) | data
        try:
            world.knobs = msgspec.convert(wanted, Knobs)
        except msgspec.ValidationError as why:
            raise NotNow(str(why)) from None
        world.keep_knobs()
        merchant_env.write(world)
        return world.knobs

    return [settings, tune]


def _certificates(world: World) -> list[ControllerRouterHandler]:
    def valid() -> dict[str, Any]:
        return {"serials": list(world.keys.platforms)}

    @get("/_sandbox/certificates", summary="The platform certificates now valid, the newest first")
    async def certificates() -> dict[str, Any]:
        return valid()

    @post("/_sandbox/certificates/rotate", status_code=200, summary="A new platform certificate beside the old one")
    async def rotate() -> dict[str, Any]:
        if world.keys.former is not None:
            raise NotNow("Two are valid already: retire the old one first.")
        world.keys = keyring.rotate(world.folder, world.keys)
        return valid()

    @post("/_sandbox/certificates/retire", status_code=200, summary="The old platform certificate is valid no more")
    async def retire() -> dict[str, Any]:
        if world.keys.former is None:
            raise NotNow("Only one is valid: rotate first.")
        world.keys = keyring.retire(world.folder, world.keys)
        return valid()

    return [certificates, rotate, retire]


def _trouble(world: World) -> list[ControllerRouterHandler]:
    @get("/_sandbox/faults", summary="Faults that wait for their call")
    async def faults() -> dict[str, Any]:
        return {"items": msgspec.to_builtins(world.faults.waiting)}

    @post("/_sandbox/faults", status_code=201, summary="Let the next calls that fit go wrong")
    async def add_fault(data: JSONBody[Fault]) -> Fault:
        try:
            re.compile(data.path)
        except re.error as why:
            raise NotNow(f"The path is no regular expression: {why}.") from None
        world.faults.waiting.append(data)
        return data

    @delete("/_sandbox/faults", status_code=204, summary="Forget every fault")
    async def forget_faults() -> None:
        world.faults.waiting.clear()

    @get("/_sandbox/signature-failures", summary="Refused signatures, the latest first, and what was verified")
    async def failures() -> dict[str, Any]:
        return {"items": list(reversed(world.signature_failures))}

    @post("/_sandbox/tokens/expire", status_code=204, summary="Every access token ends now (42001)")
    async def expire() -> None:
        tokens.expire(world)

    @post("/_sandbox/tokens/rotate", status_code=204, summary="Somebody else fetched a token by force (40001)")
    async def rotate() -> None:
        tokens.rotate(world)

    return [faults, add_fault, forget_faults, failures, expire, rotate]
