"""Where it was measured: figures without their machine mean nothing."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.stage import POSTGRES, WORKERS, Stage


def describe(stage: Stage) -> dict[str, Any]:
    """The machine, the versions and the server's settings."""

    async def version(connection: Any) -> str:
        return str(await connection.fetchval("SHOW server_version"))

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "workers": WORKERS,
        "memory_gib": round(int(_line("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "interpreter": sys.implementation.name,
        "postgres": stage.superuser(version),
        "settings": POSTGRES,
    }


def _line(file: str, name: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown 0"
