"""Thousands of generated requests, good and bad, with a real member's and a manager's token: nothing undocumented.

The same `--seed` asks the same again.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from scene import Scene
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from started import Started

pytestmark = pytest.mark.trial("R10", "R32")
DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.config.generation.update(with_security_parameters=False)
SCHEMA.config.checks.negative_data_rejection.expected_statuses = ["400", "404", "413", "415", "422", "401"]
OPERATIONS = {
    (method.upper(), path): operation["operationId"]
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
ENDING = {
    *("signIn", "signOut", "staffSignIn", "staffSignOut", "changeOwnPassword", "updateStaff", "resetStaffPassword"),
    *("eraseMe", "eraseMember", "receivePayNotice"),
}
"""Who calls these may be left without a session, or never had one."""
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Started(tmp_path_factory.mktemp("generated")) as shop:
        yield Scene(shop)


@pytest.fixture(scope="module")
def line() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def _named(scene: Scene, body: Any) -> Any:
    """The body, with what is there in place of made-up ids."""
    there = {
        "skuId": scene.sku_id,
        "addressId": scene.address_id,
        "categoryId": scene.category_id,
        "lineId": scene.line_id,
    }
    if isinstance(body, dict):
        return {key: there.get(key) or _named(scene, value) for key, value in body.items()}
    return [_named(scene, value) for value in body] if isinstance(body, list) else body


def _without_unknown_parameters(case: Case) -> None:
    """Query parameters that no route knows are ignored, and the document says so: they are no mistake."""
    known = {one["name"] for one in case.operation.definition.raw.get("parameters", ()) if one["in"] == "query"}
    for name in set(case.query or ()) - known:
        del case.query[name]


def _says_null(case: Case) -> bool:
    """A query parameter that says `null` is not given, and the document says so too."""
    return any(str(value).lower() == "null" for value in (case.query or {}).values())


def _judge(case: Case, answer: Any) -> None:
    """The answer is documented, down to the code of a refusal."""
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code < 500
    assert answer.status_code != 401 or case.operation.definition.raw["operationId"] in ENDING, "nothing was tried"
    if answer.status_code < 400 or case.path.startswith("/wechat/"):
        return
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["requestId"] == answer.headers["x-request-id"][0]
    told = case.operation.definition.raw["responses"][str(answer.status_code)]["description"]
    assert problem["code"] in re.findall(r"`([a-z_0-9]+)`: ", told), f"{problem['code']} is not documented"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=OPERATIONS.values())
def test_nothing_undocumented(
    scene: Scene,
    line: requests.Session,
    chance: random.Random,
    request: pytest.FixtureRequest,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    operation = SCHEMA[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.definition.raw.keys() & {"parameters", "requestBody"}):
        return
    scene.mend()
    token = scene.manager if path.startswith("/admin/") else scene.token
    headers = {"authorization": f"Bearer {token}"}
    turn, asked = itertools.count(), 0

    @seed(chance.getrandbits(32))
    @settings(
        max_examples=120 if request.config.getoption("--all-trials") else 15,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def ask(case: Case, there: bool) -> None:
        nonlocal asked
        asked += 1
        if there and mode is GenerationMode.POSITIVE:
            for name in case.path_parameters or ():
                known = scene.ids(name, path)
                case.path_parameters[name] = known[next(turn) % len(known)]
            case.body = _named(scene, case.body)
        _without_unknown_parameters(case)
        if _says_null(case):
            return
        _judge(case, case.call(base_url=scene.shop.url, session=line, headers=headers))

    ask()
    request.node.user_properties.append(("rounds", asked))  # where little can be varied there are fewer
