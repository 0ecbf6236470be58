"""The bodies of the overseas calls: ``trade_type`` and ``merchant_category_code`` a must, goods with other names."""

from sandbox.pay import forms
from sandbox.pay.forms import APPID, MCHID, REFUND_NUMBER, web_address
from sandbox.pay.shape import Many, OneOf, Record, Shape, Text, Whole

CURRENCY = Text("货币类型", 3, 3, r"[A-Z]{3}")
CATEGORY = Text("商户类目码", 4, 4, r"[0-9]{4}")
_DETAIL = Record(
    "优惠功能",
    optional={
        "cost_price": Whole("订单原价"),
        "receipt_id": Text("商家小票ID", 32),
        "goods_detail": Many(
            "单品列表",
            Record(
                "单品",
                required={
                    "goods_id": Text("商品编码", 32),
                    "quantity": Whole("商品数量", 1),
                    "price": Whole("商品单价"),
                },
                optional={"goods_name": Text("商品名称", 256), "wxpay_goods_id": Text("微信侧商品编码", 32)},
            ),
        ),
    },
)
_NOT_HERE = {"support_fapiao", "settle_info", "detail"}


def _overseas(trade_type: str, form: Record) -> Record:
    required: dict[str, Shape] = form.required | {
        "trade_type": OneOf("交易类型", (trade_type,)),
        "merchant_category_code": CATEGORY,
        "amount": Record("订单金额信息", required={"total": Whole("总金额", 1, 10**10), "currency": CURRENCY}),
    }
    optional = {name: shape for name, shape in form.optional.items() if name not in _NOT_HERE}
    return Record(form.label, required=required, optional=optional | {"detail": _DETAIL})


ORDERS = {trade_type: _overseas(trade_type, form) for trade_type, form in forms.ORDERS.items()}

REFUND = Record(
    "请求体",
    required={
        "appid": APPID,
        "mchid": MCHID,
        "out_refund_no": Text("商户退款单号", 64, 1, REFUND_NUMBER),
        "amount": Record(
            "金额信息",
            required={"refund": Whole("退款金额", 1), "total": Whole("原订单金额", 1), "currency": CURRENCY},
        ),
    },
    optional={
        "transaction_id": Text("微信支付订单号", 32),
        "out_trade_no": Text("商户订单号", 32, 6),
        "reason": Text("退款原因", 80, 0),
        "source": OneOf("退款资金来源", ("REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS")),
        "notify_url": Text("退款结果回调url", 256, rule=web_address),
    },
)
