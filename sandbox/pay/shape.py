"""The shapes of request bodies, checked as strictly as WeChat does: types, bytes, alphabets, no unknown, no null.

The sentences follow those seen from the gateway (``输入源“/body/…”映射到…``); programs should look at the code only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sandbox.pay.refusals import Refusal, param_error

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


class Shape(Protocol):
    """Something a JSON value can be held against."""

    @property
    def label(self) -> str:
        """What WeChat calls the value."""

    def check(self, value: Any, path: str) -> None:
        """Raise a PARAM_ERROR when ``value`` at ``path`` (``/amount/total``) does not fit."""


def _wrong(path: str, label: str, issue: str, value: object, kind: str = "值") -> Refusal:
    source = f"输入源“/body{path}”映射到{kind}字段“{label}”"
    return param_error(f"{source}规则校验失败，{issue}", field=path, value=value, issue=issue)


@dataclass(frozen=True)
class Text:
    """A string whose length is counted in UTF-8 bytes."""

    label: str
    most: int
    least: int = 1
    alphabet: str = ""
    rule: Callable[[str], str | None] | None = None
    """Answers what is wrong, or nothing."""

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise _wrong(path, self.label, "类型不匹配，应为字符串", value)
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise _wrong(path, self.label, "字符串含有非法字符", ascii(value)) from None
        if size > self.most:
            raise _wrong(path, self.label, f"字符串规则校验失败，字节数 {size}，大于最大值 {self.most}", value)
        if size < self.least:
            raise _wrong(path, self.label, f"字符串规则校验失败，字节数 {size}，小于最小值 {self.least}", value)
        if "\0" in value or (self.alphabet and not re.fullmatch(self.alphabet, value)):
            raise _wrong(path, self.label, "字符串含有非法字符", value)
        if self.rule and (issue := self.rule(value)):
            raise _wrong(path, self.label, issue, value)


@dataclass(frozen=True)
class Whole:
    """An integer; neither a string of digits nor ``1.0`` is one."""

    label: str
    least: int = 0
    most: int = 10**12

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(path, self.label, "类型不匹配，应为整数", value, "数值")
        if value < self.least:
            raise _wrong(path, self.label, f"值低于最小值 {self.least}", value, "数值")
        if value > self.most:
            raise _wrong(path, self.label, f"值高于最大值 {self.most}", self.most, "数值")


@dataclass(frozen=True)
class Flag:
    """true or false."""

    label: str

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, bool):
            raise _wrong(path, self.label, "类型不匹配，应为布尔值", value)


@dataclass(frozen=True)
class OneOf:
    """One of a closed list of words."""

    label: str
    words: tuple[str, ...]

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, str) or value not in self.words:
            raise _wrong(path, self.label, f"枚举值不在取值范围 {'、'.join(self.words)} 内", value)


@dataclass(frozen=True)
class Moment:
    """RFC 3339 with an offset."""

    label: str

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, str) or len(value) > 64 or not RFC_3339.fullmatch(value):
            raise _wrong(path, self.label, "时间格式应为 yyyy-MM-DDTHH:mm:ss+TIMEZONE", value)
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise _wrong(path, self.label, "不是有效的时间", value) from None


@dataclass(frozen=True)
class Many:
    """An array."""

    label: str
    each: Shape
    most: int = 100
    least: int = 0

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong(path, self.label, "类型不匹配，应为数组", value)
        if len(value) > self.most:
            raise _wrong(path, self.label, f"数组长度大于最大值 {self.most}", len(value))
        if len(value) < self.least:
            raise _wrong(path, self.label, f"数组长度小于最小值 {self.least}", len(value))
        for index, item in enumerate(value):
            self.each.check(item, f"{path}/{index}")


@dataclass(frozen=True)
class Record:
    """An object: what must be there, what may be; anything else and every null is refused."""

    label: str
    required: dict[str, Shape] = field(default_factory=dict)
    optional: dict[str, Shape] = field(default_factory=dict)

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, self.label, "类型不匹配，应为对象", value)
        known = {**self.required, **self.optional}
        for name, member in value.items():
            if name not in known:
                raise _extra(f"{path}/{name}")
            if member is None:
                raise _wrong(f"{path}/{name}", known[name].label, "值不能为 null", None)
        for name, shape in known.items():
            if name in value:
                shape.check(value[name], f"{path}/{name}")
            elif name in self.required:
                raise _missing(f"{path}/{name}", shape.label)


def _missing(path: str, label: str) -> Refusal:
    message = f"输入源“/body{path}”映射到值字段“{label}”必填性规则校验失败，此字段为必填项"
    return param_error(message, field=path, issue="此字段为必填项")


def _extra(path: str) -> Refusal:
    refusal = param_error("参数中含有非法的额外参数", field=path[:128], issue="非法的额外参数")
    refusal.number = 270924358
    return refusal
