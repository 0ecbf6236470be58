"""How this world is tuned; every change is kept."""

from typing import Annotated, Literal, get_args

import msgspec

from sandbox.database import Database

KeyMode = Literal["public_key", "certificate", "both"]
DeliveryMode = Literal["normal", "late", "twice", "never", "shuffled"]
Kind = Literal["transaction", "refund", "mch_payment", "profitsharing"]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=366 * 86400)]


class Delivery(msgspec.Struct, kw_only=True):
    """What happens to notices that are written from now on; ``kinds`` names which, the others go out normally."""

    mode: DeliveryMode = "normal"
    delay_s: Seconds = 30.0
    kinds: list[Kind] = msgspec.field(default_factory=lambda: list(get_args(Kind)))


class Knobs(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The defaults are an ordinary day with an ordinary merchant."""

    key_mode: KeyMode = "public_key"
    shop_name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "沙箱小店 Sandbox Shop"
    reused_number: Literal["OUT_TRADE_NO_USED", "INVALID_REQUEST"] = "OUT_TRADE_NO_USED"
    """Sources disagree about what a number answers that comes again with other parameters: applications meet both."""
    refund_delay_s: Seconds = 1.0
    refund_gap_s: Seconds = 0.0
    """WeChat asks for a minute between two parts of one order; off, because nobody knows what it answers."""
    transfer_accept_s: Seconds = 0.0
    """How long a transfer is only ACCEPTED."""
    transfer_delay_s: Seconds = 1.0
    """How long the money, or a cancellation, is under way."""
    share_wait_s: Seconds = 60.0
    """How long after the payment its money can be shared first."""
    share_delay_s: Seconds = 1.0
    share_max_ratio: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 3000
    """The most that may be shared of an order; 10000 is all of it."""
    share_notify_url: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    """Where receivers hear of their shares."""
    share_event: Literal["PROFITSHARING.SUCCESS", "TRANSACTION.SUCCESS"] = "PROFITSHARING.SUCCESS"
    """Sources disagree about the event of such a notice; its original_type is always profitsharing."""
    shared_refund: Literal["returned", "covered"] = "returned"
    """Refuse refunds until every share came back, or only where what is left does not cover them."""
    sub_refunds_authorised: bool = True
    """Whether the sub-merchant lets the partner refund."""
    exchange_rate: Annotated[int, msgspec.Meta(ge=1, le=10**12)] = 92_000_000
    """Yuan for one of an overseas merchant's currency, times 10^8."""
    customs_delay_s: Seconds = 1.0
    """How long a customs office takes."""
    balance_fen: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | None = None
    """What of the merchant's money is available; it moves with every movement. ``None``: enough for anything."""
    fee_rate: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 60
    """Hundredths of a percent of what a payment settles at; of payments from now on."""
    fee_rows: Literal["netted", "separate"] = "netted"
    """Sources disagree whether the fund-flow bill shows fees in rows of their own."""
    fee_decimals: Literal["fen", "exact"] = "fen"
    """Five decimals of a fee are always written in the trade bill: of the whole fen taken, or as the rate says."""
    code_payment: Literal["at_once", "password", "error"] = "at_once"
    """How payments by code end from now on; after ``password`` the payer pays or taps it away by a lever."""
    user_paying: Literal["202", "200"] = "202"
    """Sources disagree about the answer while the payer enters a password."""
    strict_openid: bool = False
    """Refuse openids that no code was ever made for, not only misshapen ones."""
    refuse_repeated_nonce: bool = False
    """No source says that WeChat remembers nonces."""
    delivery: Delivery = msgspec.field(default_factory=Delivery)


def load(db: Database) -> Knobs:
    """What was turned before, over the defaults; what another version kept and this one cannot read is let go."""
    kept = db.row("SELECT value FROM knobs WHERE name = 'all'")
    try:
        return msgspec.json.decode(kept["value"], type=Knobs) if kept else Knobs()
    except msgspec.ValidationError:
        return Knobs()


def keep(db: Database, knobs: Knobs) -> None:
    """Remember ``knobs`` over a restart."""
    value = msgspec.json.encode(knobs).decode()
    db.write("INSERT INTO knobs VALUES ('all', ?) ON CONFLICT DO UPDATE SET value = excluded.value", value)
