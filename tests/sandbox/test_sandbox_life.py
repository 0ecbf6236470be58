"""The program: files, restarts, sudden ends."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from sandbox.database import Database

ROOT = Path(__file__).parents[2]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_belong_to_their_owner_only(new_box) -> None:
    box = new_box()
    assert mode(box.folder) == 0o700
    assert {mode(path) for path in box.folder.iterdir() if path.is_file()} == {0o600}
    assert list(box.env) == [
        "WECHAT_API_URL",
        "WECHAT_APP_ID",
        "WECHAT_APP_SECRET",
        "WECHAT_PAY_URL",
        "WECHAT_PAY_MCH_ID",
        "WECHAT_PAY_CERT_SERIAL",
        "WECHAT_PAY_PRIVATE_KEY",
        "WECHAT_PAY_APIV3_KEY",
        "WECHAT_PAY_PUBLIC_KEY",
        "WECHAT_PAY_PUBLIC_KEY_ID",
        "WECHAT_PAY_KEY_MODE",
    ]
    assert box.env["WECHAT_API_URL"] == box.env["WECHAT_PAY_URL"] == box.url
    assert Path(box.env["WECHAT_PAY_PRIVATE_KEY"]).is_absolute()


def test_a_restart_keeps_everything(new_box) -> None:
    box = new_box()
    order, openid, before = box.paid(), box.openid(), dict(box.env)
    box.lever("clock/advance", {"seconds": 90.5})
    box.lever("delivery", {"mode": "never"})
    assert (box.folder / "clock").read_text() == "90.5\n"
    begun = time.monotonic()
    box.stop()
    assert time.monotonic() - begun < 3  # within a second, on a machine that is not busy
    assert box.process.returncode == 0
    box.start()
    assert box.env == before
    assert (box.state(order), box.openid()) == ("SUCCESS", openid)
    assert box.look("clock")["offset_s"] == 90.5
    assert box.look("delivery")["mode"] == "never"


def test_a_sudden_end_keeps_what_was_answered_and_what_was_promised(new_box, inbox) -> None:
    box = new_box()
    inbox.status = 500
    order = box.paid(inbox.url)
    inbox.wait(1)
    box.process.kill()
    box.process.wait()
    inbox.status = 204
    box.start()
    assert box.state(order) == "SUCCESS"
    box.lever("clock/advance", {"seconds": 15})
    inbox.wait(2)


def test_it_ends_promptly_though_somebody_waits(new_box) -> None:
    box = new_box()
    box.lever("faults", {"path": "/sns/", "effect": "timeout_before", "seconds": 60})
    address = ("127.0.0.1", box.port)

    with socket.create_connection(address) as waiting:
        waiting.sendall(b"GET /sns/jscode2session HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        begun = time.monotonic()
        box.process.send_signal(signal.SIGINT)
        box.process.wait(5)
        assert time.monotonic() - begun < 3  # within a second, on a machine that is not busy


def test_it_ends_with_its_parent(tmp_path) -> None:
    """A launcher that is killed takes nothing down itself; the sandbox notices."""

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'sandbox', '--data-dir', {str(tmp_path / 'd')!r}, "
        f"'--port', '{port}'], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        until = time.monotonic() + 15
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/_sandbox/health").status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.05)
        launcher.kill()
    until = time.monotonic() + 3
    while alive(child):
        assert time.monotonic() < until, "still running"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """A zombie that nobody has collected yet has ended, too."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_mistakes_are_told_in_a_sentence(new_box, tmp_path) -> None:
    box = new_box()
    command = [sys.executable, "-m", "sandbox", "--data-dir", str(tmp_path / "other"), "--port", str(box.port)]
    taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (taken.returncode, "cannot listen" in taken.stderr) == (1, True)
    command[4], command[6] = str(box.folder), str(box.port + 1)
    locked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (locked.returncode, "another one is running" in locked.stderr) == (1, True)


def test_defaults_come_from_the_environment(tmp_path) -> None:
    environment = {**os.environ, "SHOP_DATA_DIR": str(tmp_path / "here"), "SANDBOX_PORT": "8765"}
    command = [sys.executable, "-m", "sandbox", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment).stdout
    assert "here/sandbox" in "".join(shown.split())


def test_it_can_be_another_mini_program(new_box, monkeypatch) -> None:
    """Pay at an independent gateway under its own appid, the platform here: the appid is taken from the environment."""
    monkeypatch.setenv("WECHAT_APP_ID", "wxabcdefabcdefabcd")
    monkeypatch.delenv("WECHAT_API_URL", raising=False)
    box = new_box()
    assert box.env["WECHAT_APP_ID"] == "wxabcdefabcdefabcd"
    code = box.lever("codes", {"kind": "login", "user": "alice"})["code"]
    query = {"appid": "wxabcdefabcdefabcd", "secret": box.env["WECHAT_APP_SECRET"], "js_code": code}
    answer = box.http.get("/sns/jscode2session", params={**query, "grant_type": "authorization_code"})
    assert "openid" in answer.json()


def test_a_world_of_an_older_version_is_carried_over(tmp_path) -> None:
    """Tables that have changed since are made anew, with what was in them."""
    older = sqlite3.connect(tmp_path / "state.sqlite3")
    older.executescript(
        """
        CREATE TABLE users (id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, openid TEXT NOT NULL UNIQUE,
            unionid TEXT, phone TEXT, country_code TEXT NOT NULL DEFAULT '86', session_key TEXT,
            blocked INTEGER NOT NULL DEFAULT 0, account_closed INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL);
        CREATE TABLE codes (code TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('login', 'phone')),
            openid TEXT NOT NULL REFERENCES users (openid), created_at REAL NOT NULL, used_at REAL, gone TEXT);
        INSERT INTO users (label, openid, created_at) VALUES ('alice', 'oalice', 1);
        INSERT INTO codes VALUES ('c', 'login', 'oalice', 1, NULL, 'x');
        """
    )
    older.commit()
    older.close()
    for _ in range(2):
        db = Database(tmp_path / "state.sqlite3")
        assert [tuple(row) for row in db.rows("SELECT * FROM codes WHERE kind = 'login'")] == [
            ("c", "login", "oalice", 1.0, None)
        ]
        assert db.rows("PRAGMA foreign_key_check") == []
        db.write("INSERT OR REPLACE INTO codes VALUES ('p', 'payment', 'oalice', 1, NULL)")
        with pytest.raises(sqlite3.IntegrityError):
            db.write("INSERT INTO codes VALUES ('n', 'payment', 'nobody', 1, NULL)")
        db.close()


def test_movements_are_never_changed(tmp_path) -> None:
    db = Database(tmp_path / "state.sqlite3")
    db.write(
        """INSERT INTO movements (at, account, business_id, flow_id, kind, amount, applicant, note, voucher)
           VALUES (1, 'BASIC', 'b', 'f', 'payment', 1, 'a', '', '')"""
    )
    for sql in ("UPDATE movements SET amount = 2", "DELETE FROM movements"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            db.write(sql)
    db.close()
