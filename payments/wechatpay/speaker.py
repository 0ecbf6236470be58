"""What each capability of the gateway works with."""

from payments.wechatpay.connection import Connection
from payments.wechatpay.merchant import Merchant


class Speaker:
    """Whoever speaks for `merchant` over `connection`; `notify_url` is where WeChat tells us."""

    def __init__(self, connection: Connection, merchant: Merchant, notify_url: str) -> None:
        self.connection = connection
        self.merchant = merchant
        self.notify_url = notify_url
