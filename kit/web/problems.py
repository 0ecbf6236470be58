"""Every refusal leaves as `application/problem+json` (RFC 9457)."""

from typing import Any

import msgspec
import structlog
from litestar import MediaType, Response
from litestar.connection import ASGIConnection, Request
from litestar.exceptions import HTTPException, ValidationException
from sqlalchemy.exc import DBAPIError

from kit.errors import InvalidInput, Malformed, Problem
from kit.web.request import field_error

log = structlog.get_logger()

_HTTP_CODES = {400: "malformed", 401: "sign_in_needed", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
               413: "too_large", 415: "wrong_content_type", 429: "too_many"}  # fmt: skip
_HTTP_ZH = {400: "请求格式不正确", 401: "请先登录", 403: "没有权限", 404: "未找到", 405: "不支持该方法",
            413: "请求体过大", 415: "不支持的内容类型", 429: "操作太频繁，请稍后再试"}  # fmt: skip


class ProblemBody(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """RFC 9457. `code` is stable; `title` and `detail` are for people, Chinese unless `Accept-Language` asks for English.

    Facts of the single problem stand beside these members.
    """

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None


def language_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """`en` when the client prefers English, else `zh`."""
    return language_said(connection.headers.get("accept-language") or "")


def language_said(accepted: str = "", *_: str) -> str:
    """The same by the values of `Accept-Language`."""
    return "en" if accepted.strip().lower().startswith("en") else "zh"


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(k): _camelled(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_camelled(v) for v in value]
    return msgspec.to_builtins(value)


def _answer(
    request: Request[Any, Any, Any], status: int, code: str, title: str, facts: dict[str, Any]
) -> Response[dict[str, Any]]:
    body = {
        **_camelled(facts),  # first: a fact that is called `title` or `status` does not take the place of ours
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": title,
        "requestId": request.scope.get("request_id", ""),
    }
    return Response(
        body, status_code=status, media_type=MediaType.JSON, headers={"content-type": "application/problem+json"}
    )


def on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[Any]:
    """One of ours: the class says it all."""
    request.scope["problem"] = error.code()  # type: ignore[typeddict-unknown-key]
    answer = _answer(request, error.status, error.code(), error.sentence(language_of(request)), error.facts)
    if error.retry_after_s is not None:
        answer.headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    return answer


def on_validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """Litestar's own refusal of a parameter or body."""
    extra = error.extra if isinstance(error.extra, list) else []
    errors = []
    for item in extra:
        message = str(item.get("message", "")) if isinstance(item, dict) else str(item)
        found = field_error(message)
        key = str(item.get("key", "")) if isinstance(item, dict) else ""
        errors.append({"field": key or found["field"], "rule": found["rule"]})
    return on_problem(request, InvalidInput(errors or [{"field": "request", "rule": error.detail}]))


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's other refusals: unknown path, method, body too large."""
    status = error.status_code
    if status >= 500:
        return on_any(request, error)
    code = _HTTP_CODES.get(status, "malformed")
    title = _HTTP_ZH.get(status, "请求不正确") if language_of(request) == "zh" else code.replace("_", " ").capitalize()
    request.scope["problem"] = code  # type: ignore[typeddict-unknown-key]
    answer = _answer(request, status, code, title, {})
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":
            answer.headers["allow"] = value
    return answer


def on_any(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Not one of ours: the stack goes into the log, the request id into the answer."""
    if isinstance(error, RecursionError | UnicodeDecodeError):
        return on_problem(request, Malformed())
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") in {"22021", "22P05"}:
        return on_problem(request, Malformed())  # a character that the database cannot hold
    log.error("unhandled", error=type(error).__name__, exc_info=error)
    return on_problem(request, Problem())


HANDLERS: dict[Any, Any] = {
    Problem: on_problem,
    ValidationException: on_validation,
    HTTPException: on_http,
    Exception: on_any,
}
