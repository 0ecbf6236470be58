"""The house holds: imports point down, the schema is what the models say, the diagram is what the code does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from dev.postgres import Cluster
from kit import jobs
from kit.database import Table
from kit.errors import Problem
from shop import schema
from shop.orders.models import MOVES, OrderState

ROOT = Path(__file__).parent.parent
PACKAGES = ("kit", "catalog", "payments", "wechat", "shop", "sandbox", "dev")
EDGES = re.compile(r"(controllers|admin|app|edge|router|entry)\.py$")


def _contracts(cwd: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, check=False)


def test_imports_point_down() -> None:
    done = _contracts(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("payments/charges.py", "import shop.orders.checkout"),
        ("kit/money.py", "import catalog.stock"),
        ("catalog/stock.py", "import shop.settings"),
        ("sandbox/clock.py", "import kit.clock"),
        ("shop/app.py", "import sandbox.clock"),
        ("shop/members/people.py", "def late() -> None:\n    import shop.orders.checkout"),
    ],
)
def test_the_contract_bites(tmp_path: Path, file: str, line: str) -> None:
    """A copy of the tree with one import that points up is refused, also when it hides inside a function."""
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (tmp_path / file).open("a") as planted:
        planted.write(f"\n{line}\n")
    done = _contracts(tmp_path)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


async def test_models_and_migrations_agree(cluster: Cluster) -> None:
    schema.load_models()

    def differences(connection: Connection) -> list[object]:
        options = {"include_object": lambda _o, name, kind, _r, _c: not (kind == "table" and name in jobs.TABLES)}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata))

    engine = create_async_engine(make_url(cluster.owner_url()).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_migrating_twice_is_harmless(cluster: Cluster) -> None:
    await schema.migrate(cluster.owner_url(), "shop_app")


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> unpaid"]
    lines += [f"    {source} --> {target}" for source in OrderState for target in OrderState if target in MOVES[source]]
    lines += [f"    {state} --> [*]" for state in OrderState if not MOVES[state]]
    return "\n".join([*lines, "```"])


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_diagram_in_the_readme_is_the_code(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.search(r"<!-- order states: begin -->\n(.*?)\n<!-- order states: end -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == _diagram()


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_files_and_functions_stay_small() -> None:
    """At most 300 lines a file and 60 a function: past that there are two reasons in it."""
    long = []
    for path in _sources():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 300:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        long += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno > 60
        ]
    assert long == []


def test_names_say_what_they_are() -> None:
    empty = {"service", "services", "utils", "util", "helpers", "helper", "common", "manager", "base"}
    assert [path for path in _sources() if path.stem in empty] == []


def test_only_the_edges_know_the_web_framework() -> None:
    inside = [
        path.relative_to(ROOT)
        for package in ("catalog", "payments", "wechat", "shop")
        for path in (ROOT / package).rglob("*.py")
        if not EDGES.search(path.name)
        and path != ROOT / "shop" / "commands" / "serve.py"
        and re.search(r"^\s*(from|import) litestar", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert inside == []


def _leaves(kind: type[Problem]) -> list[type[Problem]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _leaves(child))]


def test_every_refusal_has_words_in_both_languages_and_a_code_of_its_own() -> None:
    schema.load_models()
    ours = [kind for kind in _leaves(Problem) if kind.__module__.split(".")[0] in PACKAGES]
    assert [kind for kind in ours if not (kind.__doc__ or "").strip() or "zh" not in vars(kind)] == []
    codes = [kind.code() for kind in ours]
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []
