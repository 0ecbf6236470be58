"""One call to `api.weixin.qq.com` and its bounded repeats; what comes back is a payload or a refusal.

Credentials stand in the query string (WeChat's rule), so a URL is never logged and never part of an error.
"""

import asyncio
import random
import time
from typing import Any

import httpx
import msgspec
import structlog

from wechat import answers
from wechat.answers import Refusal, WeChatBusy, WeChatUnavailable

log = structlog.get_logger()

_TRIES = 3
_FIRST_PAUSE_S = 0.1


class Wire:
    """`pause_s`: the first gap between repeats; it doubles and is spread, so that processes do not march in step."""

    def __init__(self, client: httpx.AsyncClient, *, pause_s: float = _FIRST_PAUSE_S) -> None:
        self._client = client
        self._pause_s = pause_s

    async def ask(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: Any = None
    ) -> dict[str, Any] | Refusal:
        """Errcode -1, HTTP 5xx and a refused connection are tried three times. What else WeChat refuses comes back.

        Raises `WeChatBusy`, `WeChatUnavailable` (503); a misconfigured account is that too, and an error in the log.
        """
        answer: dict[str, Any] | Refusal | None = None
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(self._pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311  (jitter)
            answer = await self._once(method, path, query, body)
            if answer is not None and not (isinstance(answer, Refusal) and answer.errcode == answers.SYSTEM_ERROR):
                return _passed(path, answer)
        raise WeChatUnavailable

    async def _once(
        self, method: str, path: str, query: dict[str, str] | None, body: Any
    ) -> dict[str, Any] | Refusal | None:
        """None: nothing was understood there, so it may be sent again."""
        content = None if body is None else msgspec.json.encode(body)  # raw UTF-8: some endpoints show \u escapes
        headers = {} if body is None else {"content-type": "application/json"}
        started = time.perf_counter()
        outcome: int | str = "unreachable"
        try:
            response = await self._client.request(method, path, params=query, content=content, headers=headers)
            outcome = response.status_code
            if response.status_code >= 500:
                return None
            answer = answers.read(response.content)
            outcome = answer.errcode if isinstance(answer, Refusal) else 0
        except httpx.ConnectError:
            return None
        except httpx.HTTPError as error:  # a time-out after sending: the code may have been used up
            outcome = type(error).__name__
            raise WeChatUnavailable from None  # httpx keeps the request, and with it the URL
        finally:
            log.info("wechat", path=path, outcome=outcome, ms=round((time.perf_counter() - started) * 1000, 1))
        return answer


def _passed(path: str, answer: dict[str, Any] | Refusal) -> dict[str, Any] | Refusal:
    if isinstance(answer, Refusal) and answer.errcode in answers.RATE_LIMITED:
        raise WeChatBusy
    return answer


def misconfigured(path: str, refusal: Refusal) -> WeChatUnavailable:
    """The account or our settings are at fault: operators must see it, the buyer gets a plain 503."""
    log.error("wechat misconfigured", path=path, errcode=refusal.errcode, errmsg=refusal.errmsg, rid=refusal.rid)
    return WeChatUnavailable()
