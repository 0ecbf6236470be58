"""What WeChat Pay calls. Its answers: 204 when stored and handled, else 4xx or 5xx with `{"code": "FAIL"}`."""

import time
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from kit.errors import Problem
from kit.web.problems import on_any, on_problem
from kit.web.request import WrongContentType
from payments.inbox import Inbox


class Fail(msgspec.Struct):
    """What WeChat Pay expects of a refusal; it repeats the notification."""

    code: str
    message: str


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Whatever went wrong: the status says so, WeChat repeats, and nobody is told why."""
    answer = on_problem(request, error) if isinstance(error, Problem) else on_any(request, error)
    answer.content = {"code": "FAIL", "message": (error if isinstance(error, Problem) else Problem()).sentence("zh")}
    answer.headers["content-type"] = "application/json"
    return answer


@post(
    "/pay/notify",
    operation_id="receivePayNotice",
    summary="WeChat Pay's notifications of payments and refunds",
    status_code=204,
    exception_handlers={Problem: _failed, Exception: _failed},
    responses={
        status: ResponseSpec(Fail, description=text, media_type=MediaType.JSON, generate_examples=False)
        for status, text in {
            400: "Unreadable",
            401: "Not genuine",
            413: "Too large",
            415: "Not JSON",
            500: "Not handled",
            503: "Later",
        }.items()
    },
)
async def receive_pay_notice(request: Request[Any, Any, Any], inbox: NamedDependency[Inbox]) -> None:
    headers = _once(request)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise WrongContentType  # WeChat Pay v2 speaks XML; we do not
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise WrongContentType  # what is signed are the bytes as they came: nothing is unpacked for a stranger
    await inbox.receive(headers, await request.body(), time.time())


def _once(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Headers by lower-case name; one that came twice is joined, and so fits no rule."""
    headers: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


ROUTES: list[Any] = [receive_pay_notice]
