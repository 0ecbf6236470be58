"""`make demo` from an empty folder: its own shop, the whole story, a clean audit, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_plays_to_its_end(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "DATABASE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "shop", "demo"],
        cwd=ROOT,
        env={**environment, "SHOP_DATA_DIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("the order is paid", "cancels a second order", "went back by itself", "money in ¥"):
        assert line in done.stdout
    assert "✗" not in done.stdout
    assert list(tmp_path.iterdir()) == []
