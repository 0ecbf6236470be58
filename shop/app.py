"""The composition root: what stands for the world is joined to the features here, and nowhere else."""

import asyncio
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.spec import Tag
from litestar.types import ASGIApp
from sqlalchemy.ext.asyncio import AsyncSession

import catalog.admin
import catalog.controllers
import payments.admin
import payments.controllers
import payments.exception_admin
import payments.payouts.admin
import payments.policy_admin
import payments.reconciliation.admin
import payments.refund_admin
import payments.refund_repair_admin
import payments.watch
import shop.aftersales.admin
import shop.aftersales.controllers
import shop.aftersales.refunding
import shop.cart.controllers
import shop.members.admin
import shop.members.controllers
import shop.members.transfer_admin
import shop.members.transfer_controllers
import shop.orders.admin
import shop.orders.checkout_controllers
import shop.orders.controllers
import shop.orders.payee
import shop.orders.payment_admin
import shop.orders.payment_controllers
import shop.privacy.admin
import shop.privacy.controllers
import shop.privacy.erasure
import shop.shipping.admin
import shop.watch
from catalog.pages import Pages
from kit import http
from kit.clock import Clock, FollowedClock, SystemClock
from kit.database import Database
from kit.news import News
from kit.replica import Replicated
from kit.web import docs, failed_jobs, health, injection, problems
from kit.web.lifespan import alive, readiness
from kit.web.limits import Door, Limiter
from kit.web.peer import Peers, networks
from kit.web.request import MAX_BODY_BYTES, StrictRequest
from kit.web.router import OnlyRouter
from kit.web.shelf import Shelf
from kit.web.traffic import Traffic
from payments.inbox import Inbox
from payments.ports import RefundNews
from payments.wechatpay.connection import Connection
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.keyring import Keyring
from payments.wechatpay.merchant import Merchant
from shop.admin import router as admin_router
from shop.admin.passwords import Passwords
from shop.cart.own_cart import OwnCart
from shop.members.edge import signed_in
from shop.members.sessions import Sessions
from shop.orders.own_pages import OwnPages
from shop.orders.own_placing import OwnPlacing
from shop.settings import BadSettings, Settings
from wechat.platform import Platform

log = structlog.get_logger()

_DESCRIPTION = (
    "A shop for a WeChat Mini Program. Money is integer fen, ids are strings, times RFC 3339 UTC. Refusals are"
    " `application/problem+json` with a stable `code`; texts are Chinese, or English with `Accept-Language: en`."
    ' Bodies are strict: no unknown fields, no `"5"` for 5. Of a field or query parameter given twice the last counts;'
    " unknown query parameters are ignored, and one that is no text and says `null` is not given."
)
_TAGS = [
    Tag("catalog", "What is for sale"),
    Tag("members", "Sign-in, phone, addresses"),
    Tag("cart", "What a member means to buy"),
    Tag("checkout", "Preview and placing"),
    Tag("orders", "Orders of a member, and their payment"),
    Tag("admin", "What staff call"),
    Tag("wechat", "What WeChat calls"),
    Tag("health", "Is it alive?"),
]


def clock_of(settings: Settings) -> Clock:
    """In dev the clock follows the simulated WeChat's."""
    return SystemClock() if settings.production else FollowedClock(settings.data_dir / "sandbox" / "clock")


def database_of(settings: Settings, *, pool_size: int = 8, name: str = "shop") -> Database:
    named: dict[str, Any] = {"pool_size": pool_size, "pooler": settings.database_pooler, "name": name}
    if settings.database_replica_url is None:
        return Database(settings.database_url, **named)
    return Replicated(settings.database_url, settings.database_replica_url, **named)


def _version() -> str:
    try:
        return version("wechat-shop")
    except PackageNotFoundError:
        return "0.1.0"


def _api_routes() -> list[Any]:
    return [
        *catalog.controllers.ROUTES,
        *shop.members.controllers.ROUTES,
        *shop.members.transfer_controllers.ROUTES,
        *shop.cart.controllers.ROUTES,
        *shop.orders.checkout_controllers.ROUTES,
        *shop.orders.controllers.ROUTES,
        *shop.orders.payment_controllers.ROUTES,
        *shop.aftersales.controllers.ROUTES,
        *shop.privacy.controllers.ROUTES,
    ]


def _admin_routes() -> list[Any]:
    return [
        *catalog.admin.ROUTES,
        *payments.admin.ROUTES,
        *payments.refund_admin.ROUTES,
        *payments.refund_repair_admin.ROUTES,
        *payments.exception_admin.ROUTES,
        *payments.policy_admin.ROUTES,
        *payments.reconciliation.admin.ROUTES,
        *payments.payouts.admin.ROUTES,
        *failed_jobs.ROUTES,
        *shop.members.admin.ROUTES,
        *shop.members.transfer_admin.ROUTES,
        *shop.shipping.admin.ROUTES,
        *shop.orders.admin.ROUTES,
        *shop.orders.payment_admin.ROUTES,
        *shop.aftersales.admin.ROUTES,
        *shop.privacy.admin.ROUTES,
    ]


def _routes(settings: Settings, db: Database, clock: Clock, limiter: Limiter) -> list[Any]:
    return [
        health.healthz,
        health.readyz,
        health.metrics,
        docs.assets(),
        catalog.controllers.media_router(settings.data_dir / "media"),
        OnlyRouter("/api/v1", route_handlers=_api_routes()),
        *admin_router.guarded(_admin_routes(), db, clock, limiter),
        OnlyRouter("/wechat", route_handlers=payments.controllers.ROUTES, tags=["wechat"]),
    ]


def peers_of(settings: Settings) -> Peers:
    """Who calls us, behind which proxies. In dev the caller is this machine, which WeChat takes for nobody's address."""
    try:
        trusted = networks(settings.trusted_proxies)
    except ValueError as error:
        raise BadSettings(
            [f"SHOP_TRUSTED_PROXIES must be networks like 10.0.0.0/8, with commas between: {error}"]
        ) from error
    return Peers(trusted, stand_in=None if settings.production else "192.0.2.1")


def platform_of(settings: Settings, db: Database, clock: Clock) -> Platform:
    account = settings.wechat
    client = http.outside_client(account.url)
    return Platform(client, db, clock, app_id=account.app_id, app_secret=account.app_secret)


class ShopPayee:
    """Who is told of money: orders take payments, after-sales end with refunds, and those of the erased are forgotten."""

    paid = staticmethod(shop.orders.payee.paid)
    paid_together = staticmethod(shop.orders.payee.paid_together)
    revived = staticmethod(shop.orders.payee.revived)
    refund_found = staticmethod(shop.aftersales.refunding.refund_found)

    @staticmethod
    async def refunded(session: AsyncSession, news: RefundNews) -> None:
        await shop.aftersales.refunding.refunded(session, news)
        await shop.privacy.erasure.after_refund(session, news.payable)


def merchant_of(settings: Settings) -> Merchant:
    """Who we are to WeChat Pay."""
    pay = settings.pay
    return Merchant(
        mchid=pay.mch_id,
        appid=pay.app_id,
        paying_appid=settings.wechat.app_id,
        sub_mchid=pay.sub_mch_id,
        sub_appid=pay.sub_app_id,
        region=pay.region,
        currency=pay.currency,
        merchant_category_code=pay.merchant_category_code,
    )


def gateway_of(settings: Settings) -> Gateway:
    """WeChat Pay, as the settings name it. The key mode decides by which keys it is believed."""
    pay = settings.pay
    keyring = Keyring(
        pay.apiv3_key,
        apiv3_key_before=pay.apiv3_key_before,
        public_key=pay.public_key,
        public_key_id=pay.public_key_id,
        uses_certificates=pay.key_mode != "public_key",
    )
    connection = Connection(
        url=pay.url, mchid=pay.mch_id, cert_serial=pay.cert_serial, private_key=pay.private_key, keyring=keyring
    )
    return Gateway(connection, merchant_of(settings), f"{settings.public_url}/wechat/pay/notify")


async def keep_keys_fresh(settings: Settings, gateway: Gateway) -> None:
    """Download the platform certificates now and every 12 hours, where certificates are used at all."""
    while settings.pay.key_mode != "public_key":
        try:
            await gateway.refresh_keys()
        except Exception:
            log.exception("platform certificates not refreshed")
            await asyncio.sleep(60)
        else:
            await asyncio.sleep(12 * 3600)


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    platform: Platform | None = None,
    gateway: Gateway | None = None,
    passwords: Passwords | None = None,
    news: News | None = None,
) -> Litestar:
    """The whole shop as one ASGI application.

    `clock`, `platform`, `gateway`, `passwords` and `news` stand in for what `settings` would give, for tests.
    """
    db = database_of(settings)
    news = news or News(settings.database_direct_url)
    pages = Pages(db, news)
    clock = clock or clock_of(settings)
    platform = platform or platform_of(settings, db, clock)
    gateway = gateway or gateway_of(settings)
    peers = peers_of(settings)
    limiter = Limiter(peers, asdict(settings.limits))
    payee = ShopPayee()
    sessions = Sessions(db, clock, news)
    own_pages = OwnPages(db, sessions, limiter, clock)
    own_placing = OwnPlacing(db, sessions, limiter, clock)
    own_cart = OwnCart(db, sessions, limiter, clock)
    world = {
        "db": db,
        "clock": clock,
        "pages": pages,
        "platform": platform,
        "gateway": gateway,
        "payee": payee,
        "inbox": Inbox(db, gateway.keyring, payee, clock),
        "own_placing": own_placing,
        "own_pages": own_pages,
        "own_cart": own_cart,
        "member_sessions": sessions,
        "passwords": passwords or Passwords(),
        "peers": peers,
        "limiter": limiter,
        "readings": health.Readings([payments.watch.read, shop.watch.read]),
    }
    routes = _routes(settings, db, clock, limiter)
    closing: list[Any] = [gateway.close_connections, platform.close, db.close]
    app = Litestar(
        route_handlers=routes,
        dependencies=injection.given(world) | {"member": Provide(signed_in)},
        exception_handlers=problems.HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=docs.openapi("WeChat shop", _version(), _DESCRIPTION, _TAGS, routes),
        lifespan=[lambda _app: alive([keep_keys_fresh(settings, gateway), news.listen(), readiness()], closing)],
        debug=False,
        logging_config=None,
    )
    injection.one_after_the_other(app)
    finds = {**pages.finds, **own_pages.finds, **own_cart.finds}
    app.asgi_handler = _around(Shelf(app.asgi_handler, finds, {**own_cart.takes, **own_placing.takes}), limiter)
    return app


def _around(inner: ASGIApp, limiter: Limiter) -> ASGIApp:
    """Around the routing too: what fits no route also has an id and a line, and counts."""
    return Traffic(Door(inner, limiter) if limiter.counts_addresses else inner)
