"""The virtual environment: old Pythons, refusals, interrupted installs. No package is really fetched."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dev_world import ROOT

from dev import check, environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose lock asks for nothing."""
    for name in (environment.RUN_LOCK, environment.DEV_LOCK):
        (tmp_path / name).write_text("# nothing\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "_MARK", tmp_path / ".venv" / ".whole")
    return tmp_path


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_an_old_python_is_told_so(version: str) -> None:
    candidates = [f"python{version}", *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    gate = str(ROOT / "dev" / "bootstrap.py")
    for old in filter(shutil.which, candidates):
        if subprocess.run([old, "-c", ""], capture_output=True, check=False).returncode != 0:
            continue  # a name that leads nowhere
        done = subprocess.run([old, gate], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "needs Python 3.11 or newer" in done.stderr
        return
    pytest.skip(f"no Python {version} here")


def test_the_gate_speaks_the_oldest_dialect() -> None:
    text = (ROOT / "dev" / "bootstrap.py").read_text()
    assert text.isascii()  # Python 2 reads nothing else unless told
    assert 'f"' not in text


def test_installed_once_and_again_when_the_lock_changes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(environment, "_run", lambda argv, held, failure: ran.append(argv))
    (checkout / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(environment, "_make", lambda held: (checkout / ".venv" / "bin" / "python").touch())
    environment.with_lock(dev=False)
    environment.with_lock(dev=False)
    assert len(ran) == 1
    assert "--require-hashes" in ran[0]
    (checkout / environment.RUN_LOCK).write_text("# something else\n")
    environment.with_lock(dev=False)
    environment.with_lock(dev=True)
    environment.with_lock(dev=False)  # the larger lock includes the smaller
    assert [Path(argv[-1]).name for argv in ran] == [environment.RUN_LOCK, environment.RUN_LOCK, environment.DEV_LOCK]


def test_an_interrupted_install_is_started_over(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    monkeypatch.setattr(environment, "_run", lambda argv, held, failure: sys.exit("cut off"))
    monkeypatch.setattr(environment, "_make", lambda held: made.append(True))
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(SystemExit, match="cut off"):
            environment.with_lock(dev=False)
    assert made == [True, True]
    assert not (checkout / ".venv" / ".whole").exists()


def test_a_python_without_venv_is_told_what_to_install(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        environment.with_lock(dev=False)


def test_another_python_means_another_environment(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch()
    (checkout / ".venv" / ".whole").write_text(json.dumps({"python": "3.99", environment.RUN_LOCK: "x"}))
    assert environment._present() == {}


def test_the_locks_name_no_index_and_hash_everything() -> None:
    for name in (environment.RUN_LOCK, environment.DEV_LOCK):
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages)


def test_what_a_machine_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if "chrom" in name else f"/usr/bin/{name}")
    assert check.missing() == {"browser": "browser tests (no Chromium, no ChromeDriver)"}
