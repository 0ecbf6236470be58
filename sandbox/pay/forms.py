"""The bodies the pay API takes: the fields of its API pages, with lengths in bytes."""

from dataclasses import replace
from urllib.parse import urlsplit

from sandbox.pay.shape import Flag, Many, Moment, OneOf, Record, Shape, Text, Whole

ORDER_NUMBER = r"[0-9A-Za-z_\-|*]+"
REFUND_NUMBER = r"[0-9A-Za-z_\-|*@]+"


def web_address(value: str) -> str | None:
    """A notify URL is absolute and has no query. Loopback is let through: here is where it is wanted."""
    if not value.isascii() or any(c <= " " for c in value):
        return "回调地址格式错误"
    try:
        url = urlsplit(value)
        wrong = url.scheme not in {"http", "https"} or not url.hostname or url.port == 0
    except ValueError:
        return "回调地址格式错误"
    if wrong:
        return "回调地址必须为完整的 http 或 https 地址"
    return "回调地址不能携带参数" if url.query or url.fragment or value.endswith(("?", "#")) else None


def reachable(value: str) -> str | None:
    return "用户终端IP不合法" if value in {"127.0.0.1", "::1"} else None


APPID = Text("应用ID", 32)
MCHID = Text("商户号", 32)
NOTIFY_URL = Text("通知地址", 255, rule=web_address)
CURRENCY = OneOf("货币类型", ("CNY",))
STORE = Record(
    "商户门店信息",
    optional={
        "id": Text("门店编号", 32),
        "name": Text("门店名称", 256),
        "area_code": Text("地区编码", 32),
        "address": Text("详细地址", 512),
    },
)
H5_INFO = Record(
    "H5场景信息",
    required={"type": OneOf("场景类型", ("Wap", "iOS", "Android"))},
    optional={
        "app_name": Text("应用名称", 64),
        "app_url": Text("网站URL", 128),
        "bundle_id": Text("iOS平台BundleID", 128),
        "package_name": Text("Android平台PackageName", 128),
    },
)
GOODS = Record(
    "单品",
    required={
        "merchant_goods_id": Text("商户侧商品编码", 32),
        "quantity": Whole("商品数量", 1),
        "unit_price": Whole("商品单价"),
    },
    optional={"wechatpay_goods_id": Text("微信支付商品编码", 32), "goods_name": Text("商品名称", 256)},
)
DETAIL = Record(
    "优惠功能",
    optional={
        "cost_price": Whole("订单原价"),
        "invoice_id": Text("商品小票ID", 32),
        "goods_detail": Many("单品列表", GOODS, 6144),
    },
)
SCENE: dict[str, Shape] = {"device_id": Text("商户端设备号", 32, 0), "store_info": STORE}
ADDRESS = Text("用户终端IP", 45, alphabet=r"[0-9A-Fa-f.:]+")
IDENTITY = Record(
    "实名支付",
    required={"type": Text("证件类型", 32), "number": Text("证件号", 1024), "name": Text("证件姓名", 1024)},
)


def _order(required: dict[str, Shape], optional: dict[str, Shape]) -> Record:
    return Record(
        "请求体",
        required={
            "appid": APPID,
            "mchid": MCHID,
            "description": Text("商品描述", 127),
            "out_trade_no": Text("商户订单号", 32, 6, ORDER_NUMBER),
            "notify_url": NOTIFY_URL,
            "amount": Record(
                "订单金额信息", required={"total": Whole("总金额", 1, 10**10)}, optional={"currency": CURRENCY}
            ),
            **required,
        },
        optional={
            "time_expire": Moment("支付结束时间"),
            "attach": Text("商户数据包", 128, 0),
            "goods_tag": Text("订单优惠标记", 32, 0),
            "support_fapiao": Flag("电子发票入口开放标识"),
            "limit_pay": Many(
                "指定支付方式", OneOf("支付方式", ("no_balance", "no_credit", "no_debit", "balance_only"))
            ),
            "detail": DETAIL,
            "settle_info": Record("结算信息", optional={"profit_sharing": Flag("分账标识")}),
            **optional,
        },
    )


_SCENE = Record("场景信息", required={"payer_client_ip": ADDRESS}, optional=SCENE)
_NAMED_PAYER = Record("支付者信息", required={"openid": Text("用户标识", 128)}, optional={"identity": IDENTITY})
_UNNAMED_PAYER = Record("支付者信息", optional={"identity": IDENTITY})
_H5_SCENE = Record(
    "场景信息",
    required={"payer_client_ip": replace(ADDRESS, rule=reachable), "h5_info": H5_INFO},
    optional=SCENE,
)

ORDERS = {
    "JSAPI": _order({"payer": _NAMED_PAYER}, {"scene_info": _SCENE}),
    "APP": _order({}, {"scene_info": _SCENE, "payer": _UNNAMED_PAYER}),
    "NATIVE": _order({}, {"scene_info": _SCENE, "payer": _UNNAMED_PAYER}),
    "MWEB": _order({"scene_info": _H5_SCENE}, {"payer": _UNNAMED_PAYER}),
}

CODE_PAY = Record(
    "请求体",
    required={
        **{
            name: ORDERS["NATIVE"].required[name]
            for name in ("appid", "mchid", "description", "out_trade_no", "amount")
        },
        "payer": Record(
            "支付者信息",
            required={"auth_code": Text("付款码", 18, 18, r"1[0-5][0-9]{16}")},
        ),
        "scene_info": Record(
            "场景信息",
            required={
                "store_info": Record(
                    "商户门店信息", optional={"id": Text("门店编号", 32), "out_id": Text("商家自定义编码", 32)}
                )
            },
            optional={"device_id": Text("商户端设备号", 32, 0), "device_ip": replace(ADDRESS, label="商户端设备IP")},
        ),
    },
    optional={
        **{name: ORDERS["NATIVE"].optional[name] for name in ("attach", "goods_tag", "support_fapiao", "settle_info")},
        "detail": Record(
            "优惠功能",
            optional={
                **{name: DETAIL.optional[name] for name in ("cost_price", "invoice_id")},
                "goods_detail": Many(
                    "单品列表",
                    replace(
                        GOODS,
                        optional={
                            "wxpay_goods_id": Text("微信支付商品编码", 32),
                            "goods_name": Text("商品名称", 256),
                        },
                    ),
                    6144,
                ),
            },
        ),
    },
)
"""The payer's code instead of an openid; no ``notify_url`` and no ``time_expire``: the answer is the outcome."""

REVERSE = Record("请求体", required={"appid": APPID, "mchid": MCHID})
CLOSE = Record("请求体", required={"mchid": MCHID})

REFUND = Record(
    "请求体",
    required={
        "out_refund_no": Text("商户退款单号", 64, 1, REFUND_NUMBER),
        "amount": Record(
            "金额信息",
            required={"refund": Whole("退款金额", 1), "total": Whole("原订单金额", 1), "currency": CURRENCY},
            optional={
                "from": Many(
                    "退款出资账户及金额",
                    Record(
                        "出资账户",
                        required={
                            "account": OneOf("出资账户类型", ("AVAILABLE", "UNAVAILABLE")),
                            "amount": Whole("出资金额", 1),
                        },
                    ),
                )
            },
        ),
    },
    optional={
        "sub_mchid": MCHID,
        "transaction_id": Text("微信支付订单号", 32),
        "out_trade_no": Text("商户订单号", 32, 6),
        "reason": Text("退款原因", 80, 0),
        "notify_url": Text("退款结果回调url", 256, rule=web_address),
        "funds_account": OneOf("退款资金来源", ("AVAILABLE", "UNSETTLED")),
        "goods_detail": Many(
            "退款商品",
            Record(
                "商品信息",
                required={
                    "merchant_goods_id": Text("商户侧商品编码", 32),
                    "unit_price": Whole("商品单价"),
                    "refund_amount": Whole("商品退款金额"),
                    "refund_quantity": Whole("商品退货数量", 1),
                },
                optional={"wechatpay_goods_id": Text("微信支付商品编码", 32), "goods_name": Text("商品名称", 256)},
            ),
        ),
    },
)

ABNORMAL_REFUND = Record(
    "请求体",
    required={
        "out_refund_no": Text("商户退款单号", 64, 1, REFUND_NUMBER),
        "type": OneOf("异常退款处理方式", ("USER_BANK_CARD", "MERCHANT_BANK_CARD")),
    },
    optional={
        "sub_mchid": MCHID,
        "bank_type": Text("开户银行", 16),
        "bank_account": Text("收款银行卡号", 1024),
        "real_name": Text("收款用户姓名", 1024),
    },
)

ECHO = Record(
    "请求体",
    required={"echo_message": Text("回显消息", 1024)},
    optional={"notify_url": NOTIFY_URL, "encrypted_echo_message": Text("加密回显消息", 1024)},
)
