"""What the pay API answers when it does not do what was asked.

``number`` is WeChat's internal error number, the tail of ``Request-ID``; where its list has none that fits, the general
"invalid parameter" stands in.
"""

from typing import Any

INVALID = 268435461


class Refusal(Exception):
    """A status other than 2xx with ``code`` and ``message``; ``named`` says whether it carries a Request-ID."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        number: int = INVALID,
        detail: dict[str, Any] | None = None,
        named: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.number = number
        self.detail = detail
        self.named = named

    @property
    def content(self) -> dict[str, Any]:
        """The body; ``detail`` is absent, not null, where there is none."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            body["detail"] = self.detail
        return body


class Nowhere(Exception):
    """404 for an unknown path, 405 for another method: both with an empty body and before every other check."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def sign_error(message: str, *, detail: dict[str, Any] | None = None, named: bool = True) -> Refusal:
    """401: header, clock, serial or signature."""
    return Refusal(401, "SIGN_ERROR", message, number=268443699, detail=detail, named=named)


def invalid(message: str, *, number: int = INVALID) -> Refusal:
    """400: well-formed, but not in this situation."""
    return Refusal(400, "INVALID_REQUEST", message, number=number)


def param_error(
    message: str, *, field: str | None = None, value: object = None, issue: str = "", location: str | None = "body"
) -> Refusal:
    """400: a value fails its rule. ``value`` is shown shortened."""
    shown = value if isinstance(value, int | float) or value is None else str(value)[:64]
    detail = {"field": field, "value": shown, "issue": issue or message, "location": location}
    return Refusal(400, "PARAM_ERROR", message, detail=detail)


def mchid_mismatch() -> Refusal:
    """400: who signs is not whom the request is about."""
    return param_error("http header中的mchid与post payload中的mchid不匹配", field="mchid", location=None)


def order_unknown() -> Refusal:
    """404 of a query or a close."""
    return Refusal(404, "ORDER_NOT_EXIST", "订单不存在", number=268512771)


def order_paid() -> Refusal:
    """400 of a close or a second order: the number has been paid."""
    return Refusal(400, "ORDERPAID", "该订单已支付", number=268449538)


def order_closed() -> Refusal:
    """400 of a second order: the number is closed or its time has passed."""
    return Refusal(400, "ORDER_CLOSED", "该订单已关闭，请更换商户订单号重新下单", number=268447914)


def resource_unknown(message: str = "退款单不存在") -> Refusal:
    """404 of refunds and certificates."""
    return Refusal(404, "RESOURCE_NOT_EXISTS", message, number=268512771)
