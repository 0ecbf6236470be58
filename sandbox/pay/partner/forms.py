"""The bodies of partner mode: those of a direct merchant, with ``sp_*`` and ``sub_*`` for ``appid`` and ``mchid``."""

from dataclasses import replace

from sandbox.pay import forms
from sandbox.pay.forms import APPID, IDENTITY, MCHID
from sandbox.pay.shape import Flag, Record, Shape, Text, Whole

_PARTIES: dict[str, Shape] = {
    "sp_appid": replace(APPID, label="服务商应用ID"),
    "sp_mchid": replace(MCHID, label="服务商户号"),
    "sub_mchid": replace(MCHID, label="子商户号"),
}
_NAMED_PAYER = Record(
    "支付者信息",
    optional={
        "sp_openid": Text("用户服务标识", 128),
        "sub_openid": Text("用户子标识", 128),
        "identity": IDENTITY,
    },
)
_SETTLEMENT = Record("结算信息", optional={"profit_sharing": Flag("分账标识"), "subsidy_amount": Whole("补差金额")})


def of_partner(form: Record) -> Record:
    """The same body as a partner sends it."""
    required = {name: shape for name, shape in form.required.items() if name not in {"appid", "mchid"}}
    if "payer" in required and "openid" in getattr(required["payer"], "required", {}):
        required["payer"] = _NAMED_PAYER
    optional = form.optional | {"sub_appid": replace(APPID, label="子商户应用ID")}
    if "settle_info" in optional:
        optional["settle_info"] = _SETTLEMENT
    return Record(form.label, required=_PARTIES | required, optional=optional)


ORDERS = {trade_type: of_partner(form) for trade_type, form in forms.ORDERS.items()}
CODE_PAY = of_partner(forms.CODE_PAY)
REVERSE = of_partner(forms.REVERSE)
CLOSE = Record("请求体", required={name: _PARTIES[name] for name in ("sp_mchid", "sub_mchid")})
