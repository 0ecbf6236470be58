"""What the Mini Program calls: categories, lists, a product's page, pictures. Public, and the same for everyone."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import File

from catalog import categories, detail, listing, media
from catalog.detail import ProductNotFound
from catalog.schemas import CategoryTree, ProductDetail, ProductItem, SearchWords, Sort
from kit.database import Database
from kit.errors import InvalidInput
from kit.fields import Fen, Id, as_id
from kit.paging import Page
from kit.web.declared import declared
from kit.web.parameters import PathId, QueryCursor, QueryLimit, bounded

Req = Request[Any, Any, Any]
QueryWords = Annotated[str | None, bounded(QueryParameter, SearchWords, description="All words must be found")]

_UNCHANGED = {304: ResponseSpec(None, description="Nothing changed since the `ETag` that `If-None-Match` names")}
# Asked again each time, and answered 304 while nothing changed: stock and prices are never stale.
_ASK_AGAIN = "public, no-cache"
_A_MINUTE = "public, max-age=60"


def _answer(request: Req, body: Any, cache: str) -> Response[Any]:
    """The body, or 304 when the client holds these very bytes."""
    content = msgspec.json.encode(body)
    tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": cache}
    held = (request.headers.get("if-none-match") or "").replace("W/", "").split(",")
    if tag in (one.strip() for one in held) or held == ["*"]:
        return Response(None, status_code=304, headers=headers)
    return Response(content, media_type=MediaType.JSON, headers=headers)


@get(
    "/categories",
    operation_id="listCategories",
    summary="The tree of categories",
    tags=["catalog"],
    responses=declared() | _UNCHANGED,
)
async def list_categories(request: Req, db: NamedDependency[Database]) -> Response[CategoryTree]:
    async with db.begin() as session:
        found = await categories.tree(session)
    return _answer(request, found, _A_MINUTE)


@get(
    "/products",
    operation_id="listProducts",
    summary="What is on sale: filtered, searched, sorted, by pages",
    tags=["catalog"],
    responses=declared(InvalidInput) | _UNCHANGED,
)
async def list_products(
    request: Req,
    db: NamedDependency[Database],
    q: QueryWords = None,
    category_id: Annotated[str | None, bounded(QueryParameter, Id, "categoryId", "And all below it")] = None,
    sort: FromQuery[Sort] = "default",
    min_price_fen: Annotated[int | None, bounded(QueryParameter, Fen, "minPriceFen")] = None,
    max_price_fen: Annotated[int | None, bounded(QueryParameter, Fen, "maxPriceFen")] = None,
    in_stock: Annotated[bool, QueryParameter(name="inStock")] = False,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Response[Page[ProductItem]]:
    wish = listing.Wish(
        words=q,
        category_id=as_id(category_id) if category_id else None,
        min_price_fen=min_price_fen,
        max_price_fen=max_price_fen,
        in_stock=in_stock,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    async with db.begin() as session:
        found = await listing.list_products(session, wish)
    return _answer(request, found, _ASK_AGAIN)


@get(
    "/products/{product_id:str}",
    operation_id="getProduct",
    summary="A product's page in one call: pictures, specs, SKUs with their stock",
    tags=["catalog"],
    responses=declared(InvalidInput, ProductNotFound) | _UNCHANGED,
)
async def get_product(request: Req, db: NamedDependency[Database], product_id: PathId) -> Response[ProductDetail]:
    async with db.begin() as session:
        found = await detail.get_product(session, as_id(product_id))
    return _answer(request, found, _ASK_AGAIN)


def media_router(folder: Path) -> Router:
    """Serves the pictures of `folder` under `/media/`."""

    @get("/{name:str}", name="media", include_in_schema=False, sync_to_thread=True)
    def picture(name: FromPath[str]) -> File:
        path, kind = media.find(folder, name)
        return File(path, filename=name, media_type=kind, content_disposition_type="inline", headers=media.HEADERS)

    return Router(media.URL, route_handlers=[picture])


ROUTES: list[Any] = [list_categories, list_products, get_product]
