"""The tree of refusals. Each class is one HTTP answer (RFC 9457); its leaves live beside the code that raises them.

    Problem
    ├── Malformed        400   the request cannot be read
    ├── SignInNeeded     401
    ├── Forbidden        403
    ├── NotFound         404   also: somebody else's
    ├── Conflict         409   the state of things forbids it now
    ├── Unprocessable    422   readable, but against a rule
    ├── TooMany          429
    └── Unavailable      503   try again later

The class gives the `code` (its name in snake case), the first line of its docstring the English sentence, `zh` the
Chinese one, keywords the facts. Both sentences may name facts in braces.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar


class Problem(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    zh: ClassVar[str] = "服务器出错了，请稍后再试"
    retry_after_s: int | None = None

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code())
        self.facts = facts

    @classmethod
    def code(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def sentence(self, language: str) -> str:
        """What happened, in `zh` or `en`."""
        template = self.zh if language == "zh" else (self.__doc__ or "").strip().splitlines()[0]
        try:
            return template.format(**self.facts)
        except (KeyError, IndexError):
            return template

    def __str__(self) -> str:
        return self.sentence("en")


class Malformed(Problem):
    """The request cannot be read."""

    status = 400
    zh = "请求格式不正确"


class SignInNeeded(Problem):
    """Sign in first."""

    status = 401
    zh = "请先登录"


class Forbidden(Problem):
    """This account may not do that."""

    status = 403
    zh = "没有权限"


class NotFound(Problem):
    """There is no such thing here."""

    status = 404
    zh = "未找到"


class Conflict(Problem):
    """The present state does not allow this."""

    status = 409
    zh = "当前状态不允许此操作"


class Unprocessable(Problem):
    """A rule does not allow these values."""

    status = 422
    zh = "提交的内容不符合规则"


class TooMany(Problem):
    """Too many requests; wait a little."""

    status = 429
    zh = "操作太频繁，请稍后再试"
    retry_after_s = 5


class Unavailable(Problem):
    """Not available right now; try again in a moment."""

    status = 503
    zh = "服务暂不可用，请稍后再试"
    retry_after_s = 2


class InvalidInput(Malformed):
    """Some fields are not valid."""

    zh = "部分字段不符合要求"

    def __init__(self, errors: Sequence[dict[str, str]]) -> None:
        """`errors`: one `{"field": path, "rule": sentence}` for each field that breaks a rule."""
        super().__init__(errors=list(errors))


def invalid(field: str, rule: str) -> InvalidInput:
    """One named field breaks one named rule (400)."""
    return InvalidInput([{"field": field, "rule": rule}])
