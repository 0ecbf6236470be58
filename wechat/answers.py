"""What `api.weixin.qq.com` answers, read as it is rather than as it is labelled.

HTTP 200 also means failure; the answer is read by its content, never by its header; a missing `errcode` means 0, and
`errcode` may be a text. `errmsg` is for people: only `errcode` decides.
"""

from typing import Any, Final

import msgspec

from kit.errors import Forbidden, Malformed, SignInNeeded, Unavailable

SYSTEM_ERROR: Final = -1
INVALID_CREDENTIAL: Final = 40001
TOKEN_REFUSED: Final = frozenset({INVALID_CREDENTIAL, 40014, 42001})
"""The access token is wrong, was replaced by someone else, or has expired: fetch a new one, ask once more."""
RATE_LIMITED: Final = frozenset({45009, 45011, 44990, 44991, 44993})
MISCONFIGURED: Final = frozenset(
    {40002, 40013, 40125, 40164, 40243, 41002, 41004, 43002, 48001, 48004, 50002, 50004, 50007, 89503, 89506, 89507}
)
"""The account or our settings are at fault: only an operator can help."""


class CodeInvalid(SignInNeeded):
    """WeChat does not know this code or it has expired; call wx.login again."""

    zh = "登录凭证无效或已过期，请重新登录"


class CodeUsed(SignInNeeded):
    """This code was used before; call wx.login again."""

    zh = "登录凭证已被使用，请重新登录"


class PhoneCodeInvalid(Malformed):
    """This phone code is unknown, used, expired, or another user's; ask the user again."""

    zh = "手机号授权已失效，请重新授权"


class AccountBlocked(Forbidden):
    """WeChat has blocked this account as high risk."""

    zh = "该微信账号存在风险，暂无法登录"


class WeChatUnavailable(Unavailable):
    """WeChat does not answer right now; try again in a moment."""

    zh = "微信服务暂时不可用，请稍后再试"


class WeChatBusy(WeChatUnavailable):
    """WeChat limits how often we may ask; try again in a minute."""

    zh = "访问人数较多，请一分钟后再试"
    retry_after_s = 60


class Refusal(msgspec.Struct, frozen=True):
    """A non-zero `errcode`, with the `rid` by which WeChat finds the call for seven days."""

    errcode: int
    errmsg: str

    @property
    def rid(self) -> str | None:
        _, found, rid = self.errmsg.rpartition("rid: ")
        return rid[:40] if found else None


def read(body: bytes) -> dict[str, Any] | Refusal:
    """The payload, or the refusal. Raises `WeChatUnavailable` for what is no JSON object."""
    try:
        answer = msgspec.json.decode(body)
        code = int(answer.get("errcode") or 0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, TypeError, ValueError) as error:
        raise WeChatUnavailable from error
    if code != 0:
        return Refusal(code, str(answer.get("errmsg", "")))
    assert isinstance(answer, dict)
    return answer


def text(payload: dict[str, Any], name: str, *, longest: int) -> str:
    """A non-empty text of the payload. Raises `WeChatUnavailable` when WeChat's answer lacks it."""
    value = payload.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\0" in value:
        raise WeChatUnavailable
    return value
