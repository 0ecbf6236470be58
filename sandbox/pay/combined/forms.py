"""The bodies of combined payment; other names than those of an ordinary order: ``total_amount``, and ``attach`` a must."""

from dataclasses import replace

from sandbox.pay.forms import ADDRESS, APPID, CURRENCY, H5_INFO, MCHID, NOTIFY_URL, ORDER_NUMBER, reachable
from sandbox.pay.shape import Flag, Many, Moment, OneOf, Record, Shape, Text, Whole

FEWEST, MOST = 2, 50
"""Sub-orders of a partner; a direct merchant may have ten."""
MOST_DIRECT = 10

NUMBER = Text("商户订单号", 32, 6, ORDER_NUMBER)

SUB_ORDER = Record(
    "子单",
    required={
        "mchid": MCHID,
        "attach": Text("附加数据", 128),
        "amount": Record("订单金额", required={"total_amount": Whole("标价金额", 1, 10**10), "currency": CURRENCY}),
        "out_trade_no": NUMBER,
        "description": Text("商品描述", 127),
    },
    optional={
        "sub_mchid": replace(MCHID, label="子商户号"),
        "sub_appid": replace(APPID, label="子商户应用ID"),
        "detail": Text("商品详情", 6000, 0),
        "goods_tag": Text("订单优惠标记", 32, 0),
        "settle_info": Record(
            "结算信息", optional={"profit_sharing": Flag("分账标识"), "subsidy_amount": Whole("补差金额")}
        ),
    },
)


def _combination(required: dict[str, Shape], optional: dict[str, Shape]) -> Record:
    return Record(
        "请求体",
        required={
            "combine_appid": replace(APPID, label="合单商户应用ID"),
            "combine_mchid": replace(MCHID, label="合单发起方商户号"),
            "combine_out_trade_no": replace(NUMBER, label="合单商户订单号"),
            "sub_orders": Many("子单信息", SUB_ORDER, MOST, FEWEST),
            "notify_url": NOTIFY_URL,
            **required,
        },
        optional={
            "time_start": Moment("交易起始时间"),
            "time_expire": Moment("交易结束时间"),
            "limit_pay": Many(
                "指定支付方式", OneOf("支付方式", ("no_balance", "no_credit", "no_debit", "balance_only"))
            ),
            **optional,
        },
    )


_DEVICE: dict[str, Shape] = {"device_id": Text("商户端设备号", 32, 0)}
_SCENE = Record("场景信息", required={"payer_client_ip": ADDRESS}, optional=_DEVICE)
_H5_SCENE = Record(
    "场景信息",
    required={"payer_client_ip": replace(ADDRESS, rule=reachable), "h5_info": H5_INFO},
    optional=_DEVICE,
)
_PAYER = Record("支付者信息", optional={"openid": Text("用户标识", 128), "sub_openid": Text("用户子标识", 128)})
"""A direct merchant names the first, a partner one of them."""

COMBINATIONS = {
    "JSAPI": _combination({"combine_payer_info": _PAYER}, {"scene_info": _SCENE}),
    "APP": _combination({}, {"scene_info": _SCENE, "combine_payer_info": _PAYER}),
    "NATIVE": _combination({}, {"scene_info": _SCENE, "combine_payer_info": _PAYER}),
    "MWEB": _combination({"scene_info": _H5_SCENE}, {"combine_payer_info": _PAYER}),
}

CLOSE = Record(
    "请求体",
    required={
        "combine_appid": replace(APPID, label="合单商户应用ID"),
        "sub_orders": Many(
            "子单信息",
            Record("子单", required={"mchid": MCHID, "out_trade_no": NUMBER}, optional={"sub_mchid": MCHID}),
            MOST,
            FEWEST,
        ),
    },
)
