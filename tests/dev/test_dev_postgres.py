"""The embedded PostgreSQL: made once, whole, ours alone, and never a danger to anybody else's process."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_world import ROOT

from dev import account, orphan, ports
from dev.postgres import Cluster, programs
from dev.trouble import Trouble

QUICK = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does differently")


def ask(url: str, sql: str) -> str:
    """Return psql's answer, or raise AssertionError with its complaint."""
    done = subprocess.run([programs() / "psql", "-XAtq", url, "-c", sql], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "postgres", settings=QUICK)
    yield cluster
    cluster.stop()


def owned_elsewhere(directory: Path) -> subprocess.Popen[str]:
    """Start a cluster in another process and return that process once the server is ready."""
    code = (
        "import sys, pathlib, time; from dev.postgres import Cluster;"
        f"Cluster(pathlib.Path(sys.argv[1]), settings={QUICK}).start(); print('ready', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    return owner


def server_of(directory: Path) -> int:
    return int((directory / "pgdata" / "postmaster.pid").read_text().split()[0])


def gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


def test_three_roles_each_with_its_own_rights(cluster: Cluster) -> None:
    began = time.monotonic()
    cluster.start()
    assert time.monotonic() - began < 10
    assert ask(cluster.superuser_url(), "show server_version").startswith("18.")
    assert (
        ask(cluster.owner_url(), "create table told (x int); grant select on told to shop_app; show data_checksums")
        == "on"
    )
    assert ask(cluster.app_url(), "select count(*) from told") == "0"
    with pytest.raises(AssertionError, match="permission denied for schema public"):
        ask(cluster.app_url(), "create table mine ()")
    with pytest.raises(AssertionError, match="permission denied"):
        ask(cluster.app_url(), "create temporary table mine ()")
    with pytest.raises(AssertionError, match="password authentication failed"):
        ask(f"postgresql://shop_app:wrong@127.0.0.1:{cluster.port}/shop", "select 1")
    assert stat.S_IMODE((cluster.directory / "passwords.json").stat().st_mode) == 0o600


def test_data_and_address_survive_a_restart(cluster: Cluster) -> None:
    cluster.start()
    address = cluster.owner_url()
    ask(address, "create table kept as select 42 as x")
    cluster.stop()
    cluster.start()
    assert cluster.owner_url() == address
    assert ask(address, "select x from kept") == "42"


def test_a_taken_port_is_left_for_another(cluster: Cluster) -> None:
    cluster.directory.mkdir()
    (cluster.directory / "port").write_text(str(taken := ports.any_free()))
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        cluster.start()
    assert cluster.port != taken


@pytest.mark.trial("R38")
def test_one_owner_at_a_time(cluster: Cluster) -> None:
    cluster.start()
    with pytest.raises(Trouble, match="in use by another run"):
        Cluster(cluster.directory).start(patience=0.1)
    assert ask(cluster.app_url(), "select 1") == "1"


@pytest.mark.trial("R38")
def test_a_stale_pid_file_that_names_a_stranger(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (cluster.directory / "pgdata" / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster.directory}\n")
        cluster.start()
        assert ask(cluster.app_url(), "select 1") == "1"
        cluster.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.trial("R38")
def test_a_stale_pid_file_that_names_somebody_elses_postgres(cluster: Cluster, tmp_path: Path) -> None:
    cluster.start()
    cluster.stop()
    with Cluster(tmp_path / "theirs", settings=QUICK) as theirs:
        pid = server_of(theirs.directory)
        (cluster.directory / "pgdata" / "postmaster.pid").write_text(f"{pid}\n")
        assert not orphan.serves(pid, cluster.directory / "pgdata")
        cluster.start()
        assert ask(theirs.app_url(), "select 1") == "1"


@pytest.mark.trial("R38")
def test_the_server_ends_when_its_owner_is_killed(cluster: Cluster) -> None:
    owner = owned_elsewhere(cluster.directory)
    pid = server_of(cluster.directory)
    owner.kill()
    owner.communicate()
    assert gone(pid)
    cluster.start()
    assert "database system was shut down at" in cluster.log.read_text()  # it was stopped, not cut off


@pytest.mark.trial("R38")
def test_an_orphan_is_recognised_and_stopped(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    pgdata = cluster.directory / "pgdata"
    runner = account.choose(cluster.directory, programs())
    argv = [*runner.prefix, str(programs() / "postgres"), "-D", str(pgdata), "-c", "unix_socket_directories="]
    left = subprocess.Popen([*argv, "-c", f"port={ports.any_free()}"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not orphan.serves(left.pid, pgdata) or not (pgdata / "postmaster.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    cluster.start()
    assert left.wait(5) == 0
    assert server_of(cluster.directory) != left.pid


def test_a_crash_of_the_server_is_recovered_from(cluster: Cluster) -> None:
    cluster.start()
    ask(cluster.owner_url(), "create table kept as select 1")
    pid = server_of(cluster.directory)
    assert orphan.serves(pid, cluster.directory / "pgdata")
    os.kill(pid, signal.SIGKILL)  # seen to be ours in the line above
    assert gone(pid)
    cluster.stop()
    cluster.start()
    assert ask(cluster.owner_url(), "select count(*) from kept") == "1"


def test_an_interrupted_founding_is_done_anew(cluster: Cluster) -> None:
    half = cluster.directory / "pgdata-new"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    cluster.start()
    assert ask(cluster.app_url(), "select 1") == "1"
    assert not half.exists()


def test_another_major_version_is_a_sentence(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    (cluster.directory / "pgdata" / "PG_VERSION").write_text("17\n")
    with pytest.raises(Trouble, match="of PostgreSQL 17, not 18"):
        cluster.start()


@as_root
def test_root_in_a_folder_that_only_root_may_enter(cluster: Cluster, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    cluster.start()
    assert cluster.note is None
    assert (cluster.directory / "pgdata").stat().st_uid == 0


@pytest.mark.trial("R38")
@as_root
def test_root_where_namespaces_are_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_USER_NAMESPACES", "off")
    cluster.start()
    place = Path((cluster.directory / "elsewhere").read_text().strip())
    try:
        assert cluster.note is not None
        assert str(place) in cluster.note
        assert (place / "cluster" / "pgdata").stat().st_uid != 0
        ask(cluster.owner_url(), "create table kept as select 7 as x")
        cluster.stop()
        monkeypatch.delenv("SHOP_USER_NAMESPACES")
        cluster.start()  # allowed again: the data is still found where it was made
        assert ask(cluster.owner_url(), "select x from kept") == "7"
    finally:
        cluster.stop()
        subprocess.run(["rm", "-rf", str(place)], check=True)


@as_root
def test_namespaces_refused_after_the_fact(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.start()
    cluster.stop()
    monkeypatch.setenv("SHOP_USER_NAMESPACES", "off")
    with pytest.raises(Trouble, match="user namespace"):
        cluster.start()


@pytest.mark.trial("R38")
@as_root
def test_an_ordinary_user(tmp_path: Path) -> None:
    """Inside a namespace of our making we are an ordinary user to every program, whatever this machine's accounts."""
    somebody = account._somebody()
    before = ["unshare", "--user", f"--map-user={somebody.pw_uid}", f"--map-group={somebody.pw_gid}", "--"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are refused here")
    code = (
        "import sys, os, pathlib; from dev.postgres import Cluster; assert os.geteuid() != 0\n"
        f"with Cluster(pathlib.Path(sys.argv[1]), settings={QUICK}) as cluster: print(cluster.app_url(), cluster.note)"
    )
    argv = [*before, sys.executable, "-c", code, str(tmp_path / "postgres")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("/shop None\n"), done.stderr
