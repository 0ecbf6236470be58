"""Texts that mean to be more than texts, addresses that mean to be fetched, and files that are somewhere else."""

import ast
import socket
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg
import pytest
from scene import ADDRESS, Scene
from started import Started
from world import ROOT

from dev.postgres import Cluster

pytestmark = pytest.mark.trial("R32")
OURS = ("kit", "catalog", "payments", "wechat", "shop")
SCRIPTS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "'; DROP TABLE member; --",
)
WRITTEN = ("👨‍👩‍👧‍👦 家庭", "é" * 30, "مرحبا", "e" + "\u0301" * 60, "𠮷野家", "a\u200bb", "İstanbul", "ﷺ")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Started(tmp_path_factory.mktemp("texts"), log_level="info") as shop:
        yield Scene(shop)


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_stays_a_text(scene: Scene, text: str) -> None:
    """It is given back as it came, as JSON that no browser takes for a page; whoever shows it must show it as text."""
    ask = scene.shop.ask
    kept = scene.shop.done("POST", "/api/v1/addresses", scene.token, {**ADDRESS, "detail": text, "name": text[:30]})
    shown = ask("GET", f"/api/v1/addresses/{kept['id']}", scene.token)
    assert (shown.json()["detail"], shown.json()["name"]) == (text, text[:30])
    ask("PUT", "/api/v1/me", scene.token, {"nickname": text})
    page = ask("GET", f"/admin/v1/members/{scene.member_id}", scene.manager)
    for answer in (shown, page, ask("GET", f"/api/v1/products?q={quote(text)}"), ask("GET", f"/api/v1/{quote(text)}")):
        assert answer.headers["content-type"].partition(";")[0] in ("application/json", "application/problem+json")
        assert answer.headers["x-content-type-options"] == "nosniff"
    ask("DELETE", f"/api/v1/addresses/{kept['id']}", scene.token)


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_is_kept_whole(scene: Scene, text: str) -> None:
    """Code points are counted, and nothing is cut in the middle of one, joined, or written otherwise."""
    answer = scene.shop.ask("PUT", "/api/v1/me", scene.token, {"nickname": text[:64]})
    assert (answer.status_code, answer.json().get("nickname")) == (200, text[:64])
    assert scene.shop.done("GET", "/api/v1/me", scene.token)["nickname"] == text[:64]
    assert scene.shop.ask("PUT", "/api/v1/me", scene.token, {"nickname": "𠮷" * 64}).status_code == 200
    assert scene.shop.ask("PUT", "/api/v1/me", scene.token, {"nickname": "𠮷" * 65}).status_code == 400


def test_a_thousand_marks_on_one_letter_are_too_long(scene: Scene) -> None:
    marks = "a" + "\u0301" * 1000
    assert len(unicodedata.normalize("NFC", marks)) > 64
    assert scene.shop.ask("PUT", "/api/v1/me", scene.token, {"nickname": marks}).status_code == 400


@pytest.mark.parametrize(
    "q", ["%", "_", "\\", "%%%%", "a%b", "[", "(((((", "(a+)+$", "a" * 100, ":*&|!", "''", "龙井" * 30]
)
def test_a_search_looks_for_what_was_written(scene: Scene, q: str) -> None:
    began = time.monotonic()
    answer = scene.shop.ask("GET", f"/api/v1/products?q={quote(q)}")
    assert answer.status_code in {200, 400}
    assert time.monotonic() - began < 1
    if q in ("%", "_", "\\", "%%%%") and answer.status_code == 200:
        assert answer.json()["items"] == [], "no wildcard finds everything"
    rows = scene.shop.ask("GET", f"/admin/v1/products?q={quote(q)}", scene.manager)
    assert rows.status_code in {200, 400}
    if q in ("%", "_", "\\", "%%%%") and rows.status_code == 200:
        assert rows.json()["items"] == []


def test_a_search_that_never_ends_is_refused(scene: Scene) -> None:
    for q in ("x" * 10_000, "%" * 5_000, "(a+)+" * 500):
        assert scene.shop.ask("GET", f"/api/v1/products?q={quote(q)}").status_code in {400, 414}


def test_a_picture_is_served_from_its_folder_only(scene: Scene) -> None:
    media = Path(scene.shop.log.parent, "media")
    media.mkdir(exist_ok=True)
    secret = media.parent / "secret.svg"
    secret.write_text("<svg/>")
    (media / "fine.svg").write_text("<svg/>")
    (media / "link.svg").symlink_to(secret)
    (media / "folder").symlink_to(media.parent)
    (media / "page.html").write_text("<script>alert(1)</script>")
    fine = scene.shop.http.get("/media/fine.svg")
    assert fine.status_code == 200
    assert "default-src 'none'" in fine.headers["content-security-policy"], "a picture runs nothing"
    for path in ("link.svg", "folder/secret.svg", "page.html", ".secret", "fine.SVG", "secret.svg"):
        assert scene.shop.http.get(f"/media/{path}").status_code == 404, path


INSIDE = (
    *("http://127.0.0.1:9/x.png", "http://169.254.169.254/latest/meta-data", "http://[::1]/x", "http://0x7f000001/x"),
    *("https://localhost/x", "http://2130706433/", "http://metadata.internal/"),
)


def test_no_address_that_a_member_names_is_fetched(scene: Scene) -> None:
    """An address is kept as it is, and looked up by whoever shows it; other kinds of addresses are refused."""
    with _Ear() as ear:
        url = f"http://127.0.0.1:{ear.port}/x.png"
        for address in (*INSIDE, url):
            assert scene.shop.ask("PUT", "/api/v1/me", scene.token, {"avatarUrl": address}).status_code == 200
            scene.shop.done("GET", "/api/v1/me", scene.token)
            scene.shop.ask("GET", f"/admin/v1/members/{scene.member_id}", scene.manager)
        for address in (
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "ftp://x/",
            "dict://x",
            "data:text/html,x",
            "\\\\x\\y",
        ):
            assert scene.shop.ask("PUT", "/api/v1/me", scene.token, {"avatarUrl": address}).status_code == 400
        assert ear.heard() == 0


class _Ear:
    """Hears whether anybody comes."""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        self.port = self._socket.getsockname()[1]
        return self

    def heard(self) -> int:
        try:
            self._socket.accept()[0].close()
        except TimeoutError:
            return 0
        return 1

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _imports() -> Iterator[tuple[str, str]]:
    for folder in OURS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((str(path.relative_to(ROOT)), alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield str(path.relative_to(ROOT)), node.module


def test_nothing_of_ours_reads_xml_or_unpickles() -> None:
    never = ("xml", "lxml", "defusedxml", "xmltodict", "pickle", "marshal", "shelve", "yaml", "dill")
    assert [(path, name) for path, name in _imports() if name.partition(".")[0] in never] == []


def test_the_world_is_spoken_to_from_one_place() -> None:
    """Which follows no redirect and knows whom it may speak to; a second way out would be a way in."""
    speakers = ("httpx", "requests", "urllib.request", "urllib3", "aiohttp", "http.client", "socket")
    known = {
        "kit/http.py": "the way out",
        "payments/wechatpay/": "by its client",
        "wechat/": "by its client",
        "shop/demo/": "a buyer of the demo, who speaks to the shop",
        "shop/doctor/": "looks whether the shop's own address answers",
        "kit/hosts.py": "the database's hosts",
    }
    found = {path for path, name in _imports() if name in speakers}
    assert {path for path in found if not path.startswith(tuple(known))} == set()
    makers = [
        str(path.relative_to(ROOT))
        for folder in OURS
        for path in (ROOT / folder).rglob("*.py")
        if "AsyncClient(" in path.read_text(encoding="utf-8")
    ]
    assert makers == ["kit/http.py"]


async def test_the_applications_role_runs_no_programs_and_reads_no_files(clean: Cluster) -> None:
    connection = await asyncpg.connect(clean.app_url())
    try:
        for statement in (
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "COPY (SELECT 1) TO '/tmp/x'",
            "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/passwd'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT lo_import('/etc/passwd')",
            "DROP TABLE orders",
            "CREATE ROLE me SUPERUSER",
            "ALTER ROLE shop_app SUPERUSER",
            "CREATE EXTENSION plpython3u",
            "ALTER SYSTEM SET log_statement = 'all'",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        ):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
                await connection.execute(statement)
    finally:
        await connection.close()
