"""Who a Mini Program's user is: `wx.login` codes and phone numbers.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html and
.../user-info/phone-number/getPhoneNumber.html
"""

from typing import Any, Final

import httpx
import msgspec

from kit.clock import Clock
from kit.database import Database
from wechat import answers, wire
from wechat.answers import AccountBlocked, CodeInvalid, CodeUsed, PhoneCodeInvalid, Refusal, WeChatUnavailable
from wechat.tokens import Tokens
from wechat.wire import Wire

_SESSION_PATH: Final = "/sns/jscode2session"
_PHONE_PATH: Final = "/wxa/business/getuserphonenumber"
_CODE_INVALID: Final = 40029
_CODE_USED: Final = 40163
_BLOCKED: Final = 40226
_PHONE_CODE_WRONG: Final = frozenset({_CODE_INVALID, _CODE_USED, 40003, 40013})
"""40013: the code was made in another Mini Program; 40003: by another user."""


class Session(msgspec.Struct, frozen=True):
    """Who signed in. `session_key` is left behind on purpose: nothing here needs it, so nothing can leak it."""

    openid: str
    unionid: str | None


class Platform:
    """The Mini Program `app_id` at `api.weixin.qq.com`. Call it outside of any transaction."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        db: Database,
        clock: Clock,
        *,
        app_id: str,
        app_secret: str,
        pause_s: float = 0.1,
    ) -> None:
        self.app_id = app_id
        self._app_secret = app_secret
        self._client = client
        self._wire = Wire(client, pause_s=pause_s)
        self._tokens = Tokens(self._wire, db, clock, app_id=app_id, app_secret=app_secret)

    async def code_to_session(self, code: str) -> Session:
        """Exchange a `wx.login` code (single use, five minutes).

        Raises `CodeInvalid`, `CodeUsed` (401), `AccountBlocked` (403), `WeChatBusy`, `WeChatUnavailable` (503).
        """
        query = {
            "appid": self.app_id,
            "secret": self._app_secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        answer = await self._wire.ask("GET", _SESSION_PATH, query=query)
        if isinstance(answer, Refusal):
            raise _sign_in_refused(answer)
        unionid = answers.text(answer, "unionid", longest=128) if answer.get("unionid") else None
        return Session(answers.text(answer, "openid", longest=128), unionid)

    async def phone_number(self, code: str, *, openid: str) -> str:
        """The phone behind a `getPhoneNumber` code (single use, five minutes; each success costs money).

        `openid` makes WeChat refuse the code of another user. Foreign numbers carry `+` and their country code.
        Raises `PhoneCodeInvalid` (400), `WeChatBusy`, `WeChatUnavailable` (503).
        """
        answer = await self._with_token(_PHONE_PATH, {"code": code, "openid": openid})
        if isinstance(answer, Refusal):
            if answer.errcode in _PHONE_CODE_WRONG:
                raise PhoneCodeInvalid
            raise _refused(_PHONE_PATH, answer)
        info = answer.get("phone_info")
        if not isinstance(info, dict):
            raise WeChatUnavailable
        watermark = info.get("watermark")
        if not isinstance(watermark, dict) or watermark.get("appid") != self.app_id:
            raise PhoneCodeInvalid
        number = answers.text(info, "purePhoneNumber", longest=32)
        country = str(info.get("countryCode") or "86")
        return number if country == "86" else f"+{country}{number}"

    async def _with_token(self, path: str, body: Any) -> dict[str, Any] | Refusal:
        """Ask with the shared access token; when WeChat refuses the token, fetch a new one and ask once more."""
        token = await self._tokens.current()
        answer = await self._wire.ask("POST", path, query={"access_token": token}, body=body)
        if isinstance(answer, Refusal) and answer.errcode in answers.TOKEN_REFUSED:
            token = await self._tokens.current(refused=token)
            answer = await self._wire.ask("POST", path, query={"access_token": token}, body=body)
        return answer

    async def close(self) -> None:
        """Close the connections; once, when the process ends."""
        await self._client.aclose()


def _sign_in_refused(refusal: Refusal) -> Exception:
    if refusal.errcode == _CODE_INVALID:
        return CodeInvalid()
    if refusal.errcode == _CODE_USED:
        return CodeUsed()
    if refusal.errcode == _BLOCKED:
        return AccountBlocked()
    return _refused(_SESSION_PATH, refusal)


def _refused(path: str, refusal: Refusal) -> WeChatUnavailable:
    """What no buyer can mend: the account, our settings, or a code that we do not know."""
    return wire.misconfigured(path, refusal)
