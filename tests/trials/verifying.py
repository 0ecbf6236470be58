#!/usr/bin/env python3
"""Stands in for a `pg_verifybackup` that does not even start (the embedded 18.4's ends with SIGSEGV at `--version`).

The same question: is each file that the manifest names there, whole and unchanged, and none beside them?
"""

import hashlib
import json
import sys
from pathlib import Path

base = Path(sys.argv[-1])
named = json.loads((base / "backup_manifest").read_text())["Files"]
wrong = []
for file in named:
    path = base / file["Path"]
    assert file["Checksum-Algorithm"] == "SHA256"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file["Checksum"]:
        wrong.append(file["Path"])
known = {file["Path"] for file in named} | {"backup_manifest"}
there = {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}
wrong += [path for path in there - known if not path.startswith("pg_wal/")]
sys.exit("\n".join(wrong) if wrong else 0)
