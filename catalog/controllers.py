"""What the Mini Program calls: categories, lists, a product's page, pictures. Public, and the same for everyone."""

from pathlib import Path
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import File

from catalog import listing, media
from catalog.detail import ProductNotFound
from catalog.pages import Pages
from catalog.schemas import CategoryTree, ProductDetail, ProductItem, SearchWords, Sort
from kit.errors import InvalidInput
from kit.fields import Fen, Id, as_id
from kit.paging import Page
from kit.web import shelf
from kit.web.declared import declared
from kit.web.parameters import PathId, QueryCursor, QueryLimit, bounded

Req = Request[Any, Any, Any]
QueryWords = Annotated[str | None, bounded(QueryParameter, SearchWords, description="All words must be found")]

_UNCHANGED = {304: ResponseSpec(None, description="Nothing changed since the `ETag` that `If-None-Match` names")}


@get(
    "/categories",
    operation_id="listCategories",
    summary="The tree of categories",
    tags=["catalog"],
    responses=declared() | _UNCHANGED,
)
async def list_categories(request: Req, pages: NamedDependency[Pages]) -> Response[CategoryTree]:
    return shelf.response(request, await pages.categories(shelf.key_of(request.scope)))


@get(
    "/products",
    operation_id="listProducts",
    summary="What is on sale: filtered, searched, sorted, by pages",
    tags=["catalog"],
    responses=declared(InvalidInput) | _UNCHANGED,
)
async def list_products(
    request: Req,
    pages: NamedDependency[Pages],
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
    return shelf.response(request, await pages.products(shelf.key_of(request.scope), wish))


@get(
    "/products/{product_id:str}",
    operation_id="getProduct",
    summary="A product's page in one call: pictures, specs, SKUs with their stock",
    tags=["catalog"],
    responses=declared(InvalidInput, ProductNotFound) | _UNCHANGED,
)
async def get_product(request: Req, pages: NamedDependency[Pages], product_id: PathId) -> Response[ProductDetail]:
    return shelf.response(request, await pages.product(shelf.key_of(request.scope), as_id(product_id)))


def media_router(folder: Path) -> Router:
    """Serves the pictures of `folder` under `/media/`."""

    @get("/{name:str}", name="media", include_in_schema=False, sync_to_thread=True)
    def picture(name: FromPath[str]) -> File:
        path, kind = media.find(folder, name)
        return File(path, filename=name, media_type=kind, content_disposition_type="inline", headers=media.HEADERS)

    return Router(media.URL, route_handlers=[picture])


ROUTES: list[Any] = [list_categories, list_products, get_product]
