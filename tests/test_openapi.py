"""The OpenAPI document is the contract: it changes only on purpose, and says what typed clients need to know."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SNAPSHOT = Path(__file__).with_name("openapi.json")
DOCUMENT: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    pytest.param(method, path, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
OWN = {"staffSignOut", "getStaffMe", "changeOwnPassword"}
every_operation = pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)


def test_the_document_changes_only_on_purpose() -> None:
    program = [sys.executable, "-m", "shop", "openapi"]
    printed = subprocess.run(program, cwd=SNAPSHOT.parent.parent, capture_output=True, check=True, timeout=60).stdout
    assert printed.decode() == SNAPSHOT.read_text(encoding="utf-8"), (
        "The API's description has changed. Published Mini Programs live long: only add. When the change is meant:\n"
        "    python -m shop openapi > tests/openapi.json"
    )


async def test_what_is_served_is_what_is_printed(api: httpx.AsyncClient) -> None:
    served = await api.get("/docs/openapi.json")
    assert served.json() == DOCUMENT
    assert (await api.get("/docs")).status_code == 200


def _inside(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _inside(value)
    elif isinstance(part, list):
        for value in part:
            yield from _inside(value)


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    used = {part["$ref"].rpartition("/")[2] for part in _inside(DOCUMENT) if "$ref" in part}
    assert used == set(SCHEMAS)


def test_names_on_the_wire_are_camel_case() -> None:
    names = {name for schema in SCHEMAS.values() for name in schema.get("properties", ())}
    names |= {
        parameter["name"]
        for case in OPERATIONS
        for parameter in case.values[2].get("parameters", ())
        if parameter["in"] == "query"
    }
    assert [name for name in sorted(names) if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", name)] == []
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][a-zA-Z0-9]*", name)] == []


def test_money_is_whole_fen_ids_are_text_and_times_are_times() -> None:
    kinds = {"Fen": {"integer"}, "Id": {"string"}, "At": {"string"}, "By": {"string"}}
    for name, schema in SCHEMAS.items():
        for field, shape in schema.get("properties", {}).items():
            branches = [branch for branch in shape.get("anyOf", [shape]) if branch != {"type": "null"}]
            for ending, kind in kinds.items():
                if field.endswith(ending):
                    assert {branch["type"] for branch in branches} == kind, (name, field)
            if field.endswith(("At", "payBy", "receiveBy")) or field == "at":
                assert branches[0]["format"] == "date-time", (name, field)


def test_operation_ids_are_unique() -> None:
    ids = [case.values[2]["operationId"] for case in OPERATIONS]
    assert sorted(set(ids)) == sorted(ids)


@every_operation
def test_an_operation_says_what_it_is(method: str, path: str, operation: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z][a-zA-Z]*", operation["operationId"])
    assert 5 < len(operation["summary"]) < 100
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert method in {"get", "post", "put", "delete"}, "wx.request has no PATCH"
    assert method != "get" or "requestBody" not in operation


@every_operation
def test_who_may_call_it(method: str, path: str, operation: dict[str, Any]) -> None:
    needs, answers = operation.get("security"), set(operation["responses"])
    if path.startswith("/admin/") and path != "/admin/v1/sign-in":
        assert needs == [{"staff": []}]
        assert "401" in answers
        assert ("403" in answers) == (operation["operationId"] not in OWN)
    elif needs and needs != [{}]:
        assert path.startswith("/api/")
        assert needs == [{"member": []}]
        assert "401" in answers


@every_operation
def test_its_refusals_are_named(method: str, path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    refusals = {status: answer for status, answer in answers.items() if status >= "400"}
    wanted = {"400", "413", "415"} if "requestBody" in operation else set()
    wanted |= {"400"} if operation.get("parameters") else set()
    # any day may be asked for, also one that nobody asked for yet
    wanted |= {"404"} if "{" in path and operation["operationId"] != "runReconciliation" else set()
    wanted |= {"503"} if path != "/healthz" else set()
    wanted |= {"409", "422"} if any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ())) else set()
    assert wanted <= set(answers), operation["operationId"]
    if path.startswith("/wechat/"):
        return
    for answer in refusals.values():
        (media_type,) = answer["content"]
        assert media_type == "application/problem+json"
        assert answer["content"][media_type]["schema"] == {"$ref": "#/components/schemas/ProblemBody"}
        assert re.match(r"`[a-z_]+`: ", answer["description"]), "names its codes"


def _bodies() -> Iterator[tuple[str, Any]]:
    """Every schema that a client sends, with what it consists of."""
    waiting = [case.values[2]["requestBody"] for case in OPERATIONS if "requestBody" in case.values[2]]
    seen: set[str] = set()
    while waiting:
        for part in _inside(waiting.pop()):
            name = part.get("$ref", "").rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                waiting.append(SCHEMAS[name])
                yield name, SCHEMAS[name]


BODIES = [pytest.param(schema, id=name) for name, schema in sorted(_bodies())]


@pytest.mark.parametrize("schema", BODIES)
def test_what_is_sent_is_bounded(schema: dict[str, Any]) -> None:
    if "enum" in schema:
        return
    assert schema["additionalProperties"] is False, "unknown fields are refused, and the document says so"
    for part in _inside(schema["properties"]):
        assert _is_bounded(part), part


@every_operation
def test_parameters_are_bounded(method: str, path: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        assert _is_bounded(parameter["schema"]), parameter
        assert parameter["in"] == "path" or parameter["name"] != "id"


def _is_bounded(schema: dict[str, Any]) -> bool:
    match schema.get("type"):
        case "string":
            open_ended = re.search(r"[\])][*+]", schema.get("pattern", "]*"))
            return "enum" in schema or "maxLength" in schema or "format" in schema or not open_ended
        case "integer":
            return {"minimum", "maximum"} <= set(schema)
        case "array":
            return "maxItems" in schema
    return True
