"""The bodies of profit sharing."""

from sandbox.pay.forms import APPID, MCHID
from sandbox.pay.shape import Flag, Many, OneOf, Record, Shape, Text, Whole

MOST_RECEIVERS = 50

SUB: dict[str, Shape] = {"sub_mchid": MCHID, "sub_appid": APPID}
KIND = OneOf("分账接收方类型", ("MERCHANT_ID", "PERSONAL_OPENID", "PERSONAL_SUB_OPENID"))
ACCOUNT = Text("分账接收方账号", 64)
NAME = Text("分账个人接收方姓名", 1024)
NUMBER = Text("商户分账单号", 64, 1, r"[0-9A-Za-z_\-|*@]+")
RETURN_NUMBER = Text("商户回退单号", 64, 1, r"[0-9A-Za-z_\-|*@]+")
TRANSACTION = Text("微信订单号", 32)
DESCRIPTION = Text("分账描述", 80)
RELATION = OneOf(
    "与分账方的关系类型",
    (
        "SERVICE_PROVIDER",
        "STORE",
        "STAFF",
        "STORE_OWNER",
        "PARTNER",
        "HEADQUARTER",
        "BRAND",
        "DISTRIBUTOR",
        "USER",
        "SUPPLIER",
        "CUSTOM",
    ),
)

ADD = Record(
    "请求体",
    required={"appid": APPID, "type": KIND, "account": ACCOUNT, "relation_type": RELATION},
    optional={"name": NAME, "custom_relation": Text("自定义的分账关系", 10 * 3), **SUB},
)
DELETE = Record("请求体", required={"appid": APPID, "type": KIND, "account": ACCOUNT}, optional=SUB)

SHARE = Record(
    "请求体",
    required={
        "appid": APPID,
        "transaction_id": TRANSACTION,
        "out_order_no": NUMBER,
        "receivers": Many(
            "分账接收方列表",
            Record(
                "分账接收方",
                required={
                    "type": KIND,
                    "account": ACCOUNT,
                    "amount": Whole("分账金额", 1),
                    "description": DESCRIPTION,
                },
                optional={"name": NAME},
            ),
            MOST_RECEIVERS,
            1,
        ),
        "unfreeze_unsplit": Flag("是否解冻剩余未分资金"),
    },
    optional=SUB,
)

UNFREEZE = Record(
    "请求体",
    required={"transaction_id": TRANSACTION, "out_order_no": NUMBER, "description": DESCRIPTION},
    optional={"sub_mchid": MCHID},
)

RETURN = Record(
    "请求体",
    required={
        "out_return_no": RETURN_NUMBER,
        "return_mchid": MCHID,
        "amount": Whole("回退金额", 1),
        "description": Text("回退描述", 80),
    },
    optional={"order_id": Text("微信分账单号", 64), "out_order_no": NUMBER, "sub_mchid": MCHID},
)
