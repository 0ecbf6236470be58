"""The bodies of customs declaration."""

from sandbox.pay.forms import APPID, MCHID, ORDER_NUMBER
from sandbox.pay.shape import OneOf, Record, Shape, Text, Whole

OFFICE = OneOf(
    "海关",
    (
        "GUANGZHOU_ZS",
        "HANGZHOU_ZS",
        "NINGBO",
        "ZHENGZHOU_BS",
        "CHONGQING",
        "SHANGHAI_ZS",
        "SHENZHEN",
        "ZHENGZHOU_ZH_ZS",
        "TIANJIN",
    ),
)
_WHO: dict[str, Shape] = {"appid": APPID, "mchid": MCHID, "customs": OFFICE}
_ORDER: dict[str, Shape] = {
    "out_trade_no": Text("商户订单号", 32, 6, ORDER_NUMBER),
    "transaction_id": Text("微信支付订单号", 32),
}
_FEES: dict[str, Shape] = {
    "duty": Whole("关税"),
    "sub_order_no": Text("商户子订单号", 32),
    "fee_type": Text("币种", 8),
    "order_fee": Whole("子订单金额", 1),
    "transport_fee": Whole("物流费"),
    "product_fee": Whole("商品价格"),
}
_REGISTERED: dict[str, Shape] = {"merchant_customs_no": Text("商户海关备案号", 32)}

DECLARE = Record("请求体", required=_WHO | _ORDER | _REGISTERED, optional=_FEES)
AMEND = Record("请求体", required=_WHO | _ORDER, optional=_FEES | _REGISTERED)
REDECLARE = Record(
    "请求体",
    required=_WHO,
    optional=_ORDER | _REGISTERED | {"sub_order_no": _FEES["sub_order_no"], "sub_order_id": Text("微信子订单号", 64)},
)
VERIFY = Record(
    "请求体",
    required=_WHO
    | _ORDER
    | _REGISTERED
    | {
        "certificate_type": OneOf("证件类型", ("IDCARD",)),
        "certificate_id": Text("证件号", 1024),
        "name": Text("姓名", 1024),
    },
    optional={"sub_order_no": _FEES["sub_order_no"]},
)
