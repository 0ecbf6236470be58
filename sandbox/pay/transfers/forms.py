"""The bodies of transfers."""

from sandbox.pay.forms import APPID, web_address
from sandbox.pay.shape import Many, OneOf, Record, Text, Whole

BILL_NUMBER = Text("商户单号", 32, 1, r"[0-9A-Za-z]+")
"""Letters and digits only, unlike an out_trade_no."""

TRANSFER = Record(
    "请求体",
    required={
        "appid": APPID,
        "out_bill_no": BILL_NUMBER,
        "transfer_scene_id": Text("转账场景ID", 36),
        "openid": Text("收款用户OpenID", 64),
        "transfer_amount": Whole("转账金额", 1, 10**10),
        "transfer_remark": Text("转账备注", 32),
        "transfer_scene_report_infos": Many(
            "转账场景报备信息",
            Record("报备信息", required={"info_type": Text("信息类型", 64), "info_content": Text("信息内容", 128)}),
            10,
            1,
        ),
    },
    optional={
        "user_name": Text("收款用户姓名", 1024),
        "notify_url": Text("通知地址", 256, rule=web_address),
        "user_recv_perception": Text("用户收款感知", 64),
        "user_recv_style": Record("收款样式", required={"type": OneOf("样式类型", ("CONFIRM_PAGE", "RED_PACKET"))}),
    },
)

RECEIPT_BY_NUMBER = Record("请求体", required={"out_bill_no": BILL_NUMBER})
RECEIPT_BY_BILL = Record("请求体", required={"transfer_bill_no": Text("微信转账单号", 64)})
