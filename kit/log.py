"""structlog: one JSON line (a readable one on a terminal) per event, one canonical line per request and per job.

Nothing secret or personal gets out: keys that name it are masked, values that look like it are cut, and what Postgres
adds to an error (`DETAIL: Key (phone)=(138…)`) is dropped.
"""

import logging
import re
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from kit.lines import Lines

_SECRET_KEYS = re.compile(
    r"token|secret|password|authorization|signature|session_key|private_key|apiv3|phone|address|openid|unionid"
    r"|receiver|nickname|cookie|js_code|^code$|pay_sign|paysign",
    re.IGNORECASE,
)
_PATTERNS = (
    (re.compile(r"DETAIL:.*", re.DOTALL), "DETAIL: (cut)"),
    (re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"), "(phone)"),
    (re.compile(r"(?i)(access_token|secret|js_code|code|token|password)=[^&\s\"']+"), r"\1=(cut)"),
    (re.compile(r"(?i)bearer\s+[\w.~+/=-]+"), "Bearer (cut)"),
    (re.compile(r"\bo[A-Za-z0-9_-]{27}\b"), "(openid)"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), "(key)"),
)
_ANY_PATTERN = re.compile(
    r"=|DETAIL:|1[3-9]\d{9}|b[eE][aA][rR][eE][rR]\s|B[eE][aA][rR][eE][rR]\s|o[A-Za-z0-9_-]{27}|-----BEGIN "
)
"""Finds whatever one of them finds, and more: most values are seen to be harmless in one look. Each branch begins with
one letter, by which `re` passes over most of a text without trying them."""


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


def _clean_text(value: str) -> str:
    if _ANY_PATTERN.search(value):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
    return value


_clean_word = lru_cache(maxsize=1024)(_clean_text)
_WORDS = frozenset({"event", "level", "method", "operation", "problem", "outcome", "job"})
"""Keys whose values are a few words that come again and again."""


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict):
        return {k: "(cut)" if isinstance(k, str) and _is_secret(k) else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks secrets and personal values, before what is our own is added."""
    for key, value in event.items():  # values are replaced, no key comes or goes
        kind = type(value)
        if value is not None and _is_secret(key):
            event[key] = "(cut)"
        elif kind is str:
            event[key] = _clean_word(value) if key in _WORDS else _clean_text(value)
        elif kind is not int and kind is not float:
            event[key] = _clean(value)
    return event


@lru_cache(maxsize=1)
def _second(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """As structlog's own, which writes the date anew for each line."""
    second, rest = divmod(time.time_ns(), 1_000_000_000)
    event["timestamp"] = f"{_second(second)}.{rest // 1000:06d}Z"
    return event


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def tell(logger: Any, event: dict[str, Any]) -> None:
    """`logger.info` of a whole event, its name under `event`, for who says one with each request: structlog packs and
    unpacks keywords three times on their way, which costs as much as all its processors."""
    bound = logger.bind()
    if not bound.is_enabled_for(logging.INFO):
        return
    with suppress(structlog.DropEvent):
        for processor in bound._processors:  # noqa: SLF001
            event = processor(bound._logger, "info", event)  # noqa: SLF001
        bound._logger.info(event)  # noqa: SLF001


def configure(*, level: str = "info", readable: bool = False) -> None:
    """Set up structlog and lead the standard library's loggers through the same redaction. Call once per process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.add_log_level,  # these two are ours, and have nothing to hide
        _stamp,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if readable
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    lines = Lines(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, renderer if readable else _line],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if readable else lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_drop_meta, renderer], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "alembic.runtime.plugins"):  # they print URLs, with tokens in the query
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _drop_meta(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logging.getLogger(), "", event)
