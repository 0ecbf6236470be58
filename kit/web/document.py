"""The OpenAPI document, made to say what the code does.

Litestar draws bodies from types and loses on the way what msgspec enforces: that unknown fields are refused, the bounds
of what stands in a list or may be null, a minimum of zero. msgspec describes its own types exactly, so bodies are taken
from it and everything else from Litestar.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from litestar import Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import OpenAPI
from litestar.routes import HTTPRoute

_REF = "#/components/schemas/{name}"
_PAGE = re.compile(r"Page_(?:\w+\.)*(\w+?)_$")


class Document(OpenAPI):
    """As Litestar's, with bodies as msgspec describes them."""

    wire_types: Sequence[Any] = ()

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        _, bodies = msgspec.json.schema_components(self.wire_types, ref_template=_REF)
        for name, kind in _structs(self.wire_types):
            _say_times(kind, bodies[name]["properties"])
        drawn = document["components"]["schemas"]
        enums = {name: schema for name, schema in drawn.items() if "enum" in schema}  # some only parameters have
        # By name: Litestar keeps the handlers of one path in a set, so what it meets first is chance.
        document["components"]["schemas"] = dict(sorted((enums | bodies).items()))
        for path in document["paths"].values():
            for operation in path.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] = _parameter(parameter["schema"])
        named: dict[str, Any] = _with_page_names(document)
        return named


@dataclass
class DocumentConfig(OpenAPIConfig):
    """`routes`: whose bodies are described."""

    routes: Sequence[Any] = ()

    def to_openapi_schema(self) -> Document:
        drawn = super().to_openapi_schema()
        document = Document(**{name: getattr(drawn, name) for name in OpenAPI.__dataclass_fields__})
        document.wire_types = list(_wire_types(self.routes))
        return document


def _handlers(routes: Sequence[Any]) -> Iterator[HTTPRouteHandler]:
    for route in routes:
        found = [route]
        if isinstance(route, Router):
            found = [one for each in route.routes if isinstance(each, HTTPRoute) for one in each.route_handlers]
        yield from (one for one in found if isinstance(one, HTTPRouteHandler) and one.resolve_include_in_schema())


def _wire_types(routes: Sequence[Any]) -> Iterator[Any]:
    """What handlers take, answer and refuse with."""
    for handler in _handlers(routes):
        hints = get_type_hints(handler.fn)
        for hint in (hints.get("data"), hints.get("return")):
            inner = get_args(hint)[0] if get_origin(hint) is Response else hint
            if inner is not None and not (isinstance(inner, type) and issubclass(inner, Response)):
                yield inner
        for spec in (handler.responses or {}).values():
            if spec.data_container is not None:
                yield spec.data_container


def _structs(kinds: Sequence[Any]) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Every struct within `kinds` that is not generic, once."""
    seen: set[type] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(kind) for kind in kinds]
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.StructType):
            if node.cls in seen:
                continue
            seen.add(node.cls)
            if not hasattr(node.cls, "__parameters__"):
                yield node.cls.__name__, node.cls
            waiting += [field.type for field in node.fields]
        elif isinstance(node, msgspec.inspect.Metadata):
            waiting.append(node.type)
        elif isinstance(node, msgspec.inspect.UnionType):
            waiting += node.types
        elif isinstance(node, msgspec.inspect.CollectionType):
            waiting.append(node.item_type)


def _say_times(kind: type[msgspec.Struct], properties: dict[str, Any]) -> None:
    """msgspec says `date-time` only of types that demand an offset; all of ours have one."""
    for field in msgspec.structs.fields(kind):
        if datetime in (field.type, *get_args(field.type)):
            shape = properties[field.encode_name]
            for branch in shape.get("anyOf", [shape]):
                if branch.get("type") == "string":
                    branch["format"] = "date-time"


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """Without `null`, which no query string can say, and with whole numbers for bounds."""
    bounds = {key: int(value) if isinstance(value, float) else value for key, value in schema.items() if key != "oneOf"}
    for branch in schema.get("oneOf", ()):
        if branch != {"type": "null"}:
            bounds = {**branch, **bounds}
    return bounds


def _with_page_names(part: Any) -> Any:
    """`OrderViewPage`, not the path of a module: clients' types are named by it."""
    if isinstance(part, dict):
        return {_page_name(key): _with_page_names(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_with_page_names(value) for value in part]
    return _page_name(part) if isinstance(part, str) else part


def _page_name(text: str) -> str:
    return _PAGE.sub(r"\1Page", text)
