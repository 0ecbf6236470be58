"""WeChat Pay API v3 as we use it. Every call has three answers: done (it returns), refused (`Refused`), unknown (`Unknown`).

Unknown is asked again by query before anything is repeated under a new number.
"""

from payments.wechatpay.answers import Refused, Unknown, asked
from payments.wechatpay.bills import Bills, BillTicket
from payments.wechatpay.charging import CHANNELS, ChargeAsk, Charging
from payments.wechatpay.client import AppParams, Opening, PayParams
from payments.wechatpay.combined import Combining
from payments.wechatpay.connection import Connection
from payments.wechatpay.customs import Declarations
from payments.wechatpay.echo import Echo, Echoing
from payments.wechatpay.keyring import Keyring
from payments.wechatpay.merchant import Merchant
from payments.wechatpay.refunding import Refunding
from payments.wechatpay.sharing import Sharing
from payments.wechatpay.transfers import Transfers
from payments.wechatpay.wording import cut

__all__ = [
    "CHANNELS",
    "AppParams",
    "BillTicket",
    "ChargeAsk",
    "Echo",
    "Gateway",
    "PayParams",
    "Refused",
    "Unknown",
    "asked",
    "cut",
]


class Gateway(Charging, Opening, Combining, Refunding, Echoing):
    """One per process. `notify_url` is where WeChat tells us; it must be public and carry no query."""

    def __init__(self, connection: Connection, merchant: Merchant, notify_url: str) -> None:
        super().__init__(connection, merchant, notify_url)
        self.bills = Bills(connection, merchant, notify_url)
        self.transfers = Transfers(connection, merchant, notify_url)
        self.sharing = Sharing(connection, merchant, notify_url)
        self.customs = Declarations(connection, merchant, notify_url)

    @property
    def keyring(self) -> Keyring:
        """WeChat's keys: what notifications are verified with, and sensitive members sealed to."""
        return self.connection.keyring

    @property
    def mchid(self) -> str:
        """Who signs: notifications name it (a partner's `sp_mchid`)."""
        return self.merchant.mchid

    @property
    def appid(self) -> str:
        """The app in which people pay."""
        return self.merchant.client_appid

    @property
    def currency(self) -> str:
        return self.merchant.currency

    async def refresh_keys(self) -> None:
        """See `Connection.refresh_keys`."""
        await self.connection.refresh_keys()

    async def close_connections(self) -> None:
        await self.connection.close()
