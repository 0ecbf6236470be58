"""Files that only their owner may read."""

import os
from pathlib import Path


def write_private(path: Path, content: str) -> None:
    """Write `content` whole or not at all, mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(path.name + ".new")
    with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    waiting.replace(path)
