"""Make a cluster: initdb, the roles and the database, aside, and put it in place only when it is whole."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dev.account import Account
from dev.trouble import Trouble

ROLES = ("postgres", "shop_owner", "shop_app")
SCHEMA = "GRANT USAGE ON SCHEMA public TO shop_app;"
"""What follows `roles`, said in the new database."""
_LOCALE = ("--locale=C", "--encoding=UTF8")
_BUILTIN = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
"""Knows capital letters beyond ASCII's, on every machine alike."""
_BUILTIN_SINCE = 17


def found(account: Account, passwords: Path, settings: Mapping[str, str], lock: int, version: int) -> None:
    """Make ``pgdata`` of a major version in the account's home, the roles' new passwords going into ``passwords``.

    The programs hold descriptor ``lock``, so that nobody starts over while one of them still writes. Nothing is in
    place before the last rename; what an interrupted attempt left is removed first. Raises Trouble.
    """
    half = account.home / "pgdata-new"
    shutil.rmtree(half, ignore_errors=True)
    words = {role: secrets.token_urlsafe(24) for role in ROLES}
    _write_private(passwords, json.dumps(words, indent=2) + "\n")
    _initdb(account, half, words["postgres"], lock, version)
    hasty = {**settings, "fsync": "off"}  # nothing counts yet, and all is written through at once below
    _tell(account, half, hasty, lock, "postgres", roles(words))
    _tell(account, half, hasty, lock, "shop", [SCHEMA])
    if settings.get("fsync") != "off":
        argv = [str(account.programs / "initdb"), "--sync-only", "-D", str(half)]
        _must(account.run(argv, give=lock), "initdb --sync-only")
    half.rename(account.home / "pgdata")


def major(programs: Path) -> int:
    """Return the version of PostgreSQL in a folder of its programs. Raises Trouble."""
    try:
        done = subprocess.run([programs / "postgres", "-V"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Trouble(f"There is no PostgreSQL in {programs} ({error}).") from None
    return int(done.stdout.split()[2].split(".")[0])


def read_passwords(path: Path) -> dict[str, str]:
    """Return role name → password. Raises Trouble if the file is lost."""
    try:
        words: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Trouble(
            f"The database passwords in {path} cannot be read ({error}): remove {path.parent} to start anew."
        ) from None
    return words


def _initdb(account: Account, half: Path, password: str, lock: int, version: int) -> None:
    slip = account.home / "superuser.password"
    slip.unlink(missing_ok=True)
    _write_private(slip, password + "\n")
    account.hand_over(slip)
    argv = [str(account.programs / "initdb"), "-D", str(half), "--username=postgres", f"--pwfile={slip}"]
    argv += ["--auth=scram-sha-256", "--data-checksums", "--no-sync", *_LOCALE]
    argv += _BUILTIN if version >= _BUILTIN_SINCE else ()
    try:
        _must(account.run(argv, give=lock), "initdb")
    finally:
        slip.unlink()


def roles(words: Mapping[str, str]) -> list[str]:
    """Return what makes the shop's roles and its database, for the superuser."""
    return [
        f"CREATE ROLE shop_owner LOGIN PASSWORD '{words['shop_owner']}';",
        f"CREATE ROLE shop_app LOGIN PASSWORD '{words['shop_app']}';",
        "CREATE DATABASE shop OWNER shop_owner;",
        "REVOKE ALL ON DATABASE shop FROM PUBLIC;",
        "GRANT CONNECT ON DATABASE shop TO shop_app;",
    ]


def _tell(
    account: Account, half: Path, settings: Mapping[str, str], lock: int, database: str, statements: list[str]
) -> None:
    """Run statements in single-user mode: no port, no password, nobody else, and over before the rename."""
    argv = [str(account.programs / "postgres"), "--single", "-D", str(half), "-c", "exit_on_error=on"]
    argv += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    _must(account.run([*argv, database], give=lock, words="\n".join(statements) + "\n"), "postgres --single")


def _must(done: subprocess.CompletedProcess[str], name: str) -> None:
    """Raise Trouble with the line that says why, if the program failed: the last ones only say what it cleared away."""
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or [f"exit code {done.returncode}"]
        telling = [line for line in lines if any(word in line for word in ("error:", "FATAL:", "PANIC:"))]
        raise Trouble(f"The database could not be made: {(telling or lines)[0].strip()} ({name})")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
