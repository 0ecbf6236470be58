"""Rules of the house that no linter knows, read off the syntax tree: each says where a source breaks it.

Not semgrep or a linter's plugin: ruff takes none, and semgrep is a large program that wants a network; these need only
the standard library and run wherever the tests do.
"""

import ast
import re
from collections.abc import Callable, Iterator

Found = Iterator[tuple[int, str]]
"""Line, and what is wrong there."""

_SQL = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|FROM|WHERE|VALUES|SET|ORDER BY|ALTER|CREATE|DROP|GRANT|REVOKE|LISTEN|NOTIFY)\b"
)
_SECRET = re.compile(r"(signature|token|digest|hmac|password|secret|_hash|sha1|sha256)$", re.IGNORECASE)
_BEGINS = {"begin", "bare", "looking", "reading", "transaction"}
_WORLD = {"gateway", "_gateway", "platform", "_platform", "wechat", "_wechat", "http", "_http"}
_BODIES = {
    "body",
    "raw",
    "plain",
    "payload",
    "headers",
    "content",
    "data",
    "text",
    "cookies",
    "query",
    "token",
    "password",
}
_LOGS = {"log", "logger", "logging"}


def composed_sql(tree: ast.AST) -> Found:
    """SQL into which a function writes anything but constants of the code: values are parameters, always.

    Outside of functions there is nothing yet that could come from anybody.
    """
    texts = {name for name, value in _texts(tree) if _is_sql(value, set())}
    for function in _functions(tree):
        for node in _own(function):
            match node:
                case ast.JoinedStr(values=values) if _is_sql(node, texts):
                    parts = [value.value for value in values if isinstance(value, ast.FormattedValue)]
                case ast.Call(func=ast.Attribute(attr="format" | "format_map", value=text)) if _is_sql(text, texts):
                    parts = [*node.args, *(keyword.value for keyword in node.keywords)]
                case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right) if _is_sql(left, texts) or _is_sql(
                    right, texts
                ):
                    parts = [left, right]
                case _:
                    continue
            for part in parts:
                if not _is_constant(part):
                    yield node.lineno, f"{function.name} writes {ast.unparse(part)} into SQL"


def _is_sql(node: ast.AST, texts: set[str]) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return _SQL.search(text) is not None
        case ast.JoinedStr(values=values):
            return any(_is_sql(value, texts) for value in values)
        case ast.Name(id=name):
            return name in texts
        case _:
            return False


def _texts(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What the module names."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _is_constant(node: ast.AST) -> bool:
    """Of the code itself: `_LINES`, `OrderState.PAID`, `offers.COLUMNS`, and what is made of such."""
    match node:
        case ast.Constant() | ast.Name(id="int"):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper() or name == "__struct_fields__"
        case ast.JoinedStr(values=values):
            return all(not isinstance(value, ast.FormattedValue) or _is_constant(value.value) for value in values)
        case ast.BinOp(left=left, right=right):
            return _is_constant(left) and _is_constant(right)
        case ast.Call(args=args, keywords=keywords):
            return all(_is_constant(arg) for arg in [*args, *(keyword.value for keyword in keywords)])
        case _:
            return False


def compared_secrets(tree: ast.AST) -> Found:
    """`==` on what somebody may guess byte by byte; `hmac.compare_digest` takes the same time for every guess."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops):
            sides = [node.left, *node.comparators]
            harmless = any(_is_column(side) or isinstance(side, ast.Constant) for side in sides)
            if not harmless and any(_SECRET.search(_last(side)) for side in sides):
                yield node.lineno, f"compares {ast.unparse(node)}"


def _is_column(node: ast.AST) -> bool:
    """`MemberSession.token_hash`: Postgres compares, by an index over hashes."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id[:1].isupper()


def _last(node: ast.AST) -> str:
    """The name at the end of `a.b.c`, `a.b.c()` and `a["c"]`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Attribute(attr="lower" | "upper" | "strip" | "encode" | "decode", value=value)):
            return _last(value)
        case ast.Call(func=function):
            return _last(function)
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""


def world_inside_transaction(tree: ast.AST) -> Found:
    """A call to the world while a transaction is open. Who takes `db` first talks to the world in between."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith) and any(_begins(item.context_expr) for item in node.items):
            for call in (found for part in node.body for found in ast.walk(part) if isinstance(found, ast.Call)):
                if call.args and _last(call.args[0]) in {"db", "_db"}:
                    yield call.lineno, f"{ast.unparse(call.func)} gets the database inside a transaction"
                elif _WORLD & set(ast.unparse(call.func).split(".")[:-1]):
                    yield call.lineno, f"{ast.unparse(call.func)} is the world, inside a transaction"


def _begins(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _BEGINS


def swallowed_errors(tree: ast.AST) -> Found:
    """Any error at all, and nobody hears of it."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=kind, body=body) if kind is None or _last(kind) in {
                "Exception",
                "BaseException",
            }:
                if all(isinstance(line, ast.Pass | ast.Continue | ast.Expr) and _says_nothing(line) for line in body):
                    yield node.lineno, "swallows every error"
            case ast.Call(func=function, args=args) if _last(function) == "suppress":
                if {_last(arg) for arg in args} & {"Exception", "BaseException"}:
                    yield node.lineno, "suppresses every error"


def _says_nothing(line: ast.stmt) -> bool:
    return not isinstance(line, ast.Expr) or isinstance(line.value, ast.Constant)


def guessable_chance(tree: ast.AST) -> Found:
    """`random` can be foreseen by who has seen enough of it; tokens and numbers are drawn by `secrets`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(name.name == "random" for name in names):
                yield node.lineno, "imports random"
            case ast.ImportFrom(module="random"):
                yield node.lineno, "imports random"


def logged_bodies(tree: ast.AST) -> Found:
    """Bodies, headers and what was decrypted do not go into the log; how long they are may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in _LOGS:
            for part in (*node.args, *(keyword.value for keyword in node.keywords)):
                if _last(part) in _BODIES and not (isinstance(part, ast.Call) and _last(part.func) == "len"):
                    yield node.lineno, f"logs {ast.unparse(part)}"


def unasked_owner(function: ast.AST, ids: set[str]) -> Found:
    """A member's route that takes an id and never hands it on together with whose it must be.

    `member` itself or its `member_id` counts; `member.label`, which only says who did it, does not.
    """
    whose = {"member"}
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
        elif isinstance(node, ast.Assign):
            pairs = zip(node.targets, [node.value] * len(node.targets), strict=True)
        else:
            continue
        whose |= {_last(target) for target, value in pairs if _names_owner(value, {"member"})}
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    for name in sorted(ids):
        if not any(_mentions(call, name) and _names_owner(call, whose) for call in calls):
            yield getattr(function, "lineno", 0), f"{name} is not asked for together with its owner"


def _mentions(call: ast.Call, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(call))


def _names_owner(node: ast.AST, whose: set[str]) -> bool:
    found = False
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and part.attr == "member_id":
            found = True
    labels = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    bare = (part for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in labels)
    return found or any(part.id in whose for part in bare)


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """All of a function, but not of functions inside it; and of an f-string only the whole."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _own(node)


RULES: dict[str, Callable[[ast.AST], Found]] = {
    rule.__name__: rule
    for rule in (
        composed_sql,
        compared_secrets,
        world_inside_transaction,
        swallowed_errors,
        guessable_chance,
        logged_bodies,
    )
}
