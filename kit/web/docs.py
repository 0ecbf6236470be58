"""OpenAPI 3.1 at `/docs`, with Swagger UI served from this machine: it works without a network."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.router import Router
from litestar.static_files import create_static_files_router

from kit.web.document import DocumentConfig

ASSETS = "/docs-assets"


def _static_folder() -> Path:
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RuntimeError("swagger-ui-py is not installed")
    return Path(spec.origin).parent / "static"


def assets() -> Router:
    """Swagger UI's own files."""
    return create_static_files_router(
        path=ASSETS, directories=[_static_folder()], name="docs-assets", include_in_schema=False
    )


def openapi(title: str, version: str, description: str, tags: list[Tag], routes: Sequence[Any]) -> DocumentConfig:
    """The document of `routes` at `/docs/openapi.json`, the page at `/docs`."""
    return DocumentConfig(
        routes=routes,
        title=title,
        version=version,
        description=description,
        path="/docs",
        tags=tags,
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{ASSETS}/swagger-ui-bundle.js",
                css_url=f"{ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{ASSETS}/swagger-ui-standalone-preset.js",
                favicon='<link rel="icon" href="data:,">',
            ),
            JsonRenderPlugin(),
        ],
        components=Components(
            security_schemes={
                "member": SecurityScheme(type="http", scheme="bearer", description="From POST /api/v1/sign-in"),
                "staff": SecurityScheme(type="http", scheme="bearer", description="From POST /admin/v1/sign-in"),
            }
        ),
    )
