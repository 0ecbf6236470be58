"""`deploy/archive-wal`, the database's archive_command: whole or not at all, and never over another."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "deploy" / "archive-wal"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


def _archived(archive: Path, content: bytes, name: str = "000000010000000000000007") -> bool:
    """What PostgreSQL takes for archived, and then writes over."""
    segment = archive.parent / "segment"
    segment.write_bytes(content)
    return subprocess.run(["sh", SCRIPT, archive, segment, name], capture_output=True, check=False).returncode == 0


def test_a_piece_of_the_log_is_kept_whole_for_its_owner_only(archive: Path) -> None:
    assert _archived(archive, b"log")
    (kept,) = archive.iterdir()
    assert (kept.name, kept.read_bytes(), kept.stat().st_mode & 0o777) == ("000000010000000000000007", b"log", 0o600)


def test_the_same_once_more_is_well_and_another_of_its_name_is_not(archive: Path) -> None:
    assert _archived(archive, b"log")
    assert _archived(archive, b"log")
    assert not _archived(archive, b"lag")
    assert not _archived(archive, b"lo")
    assert [kept.read_bytes() for kept in archive.iterdir()] == [b"log"]


def test_a_copy_that_dies_half_way_is_none(archive: Path) -> None:
    """As when the machine went down in the middle of it."""
    (archive / "000000010000000000000007.part").write_bytes(b"l")
    assert _archived(archive, b"log")
    assert [kept.read_bytes() for kept in archive.iterdir()] == [b"log"]


def test_what_cannot_be_kept_is_not_archived(archive: Path) -> None:
    assert not _archived(archive / "gone", b"log")
