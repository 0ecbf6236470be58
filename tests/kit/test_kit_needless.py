"""What a process does not use, or not yet (`kit/needless.py`). Each in a Python of its own: it is for ever."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _said(program: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_is_left_out_is_not_there_for_who_looks() -> None:
    said = _said("""
from kit.needless import leave_out
leave_out("yaml")
try:
    import yaml
except ImportError:
    print("not there")
""")
    assert said == "not there"


def test_what_was_imported_before_stays() -> None:
    assert (
        _said("""
import yaml
from kit.needless import leave_out, put_off
leave_out("yaml"); put_off("yaml")
print(yaml.dump(1).split()[0])
""")
        == "1"
    )


def test_what_is_put_off_is_imported_when_it_is_asked_for() -> None:
    said = _said("""
import sys
from kit.needless import put_off
put_off("yaml")
import yaml
early = "yaml.loader" in sys.modules
text = yaml.dump({"a": 1})
print(early, "yaml.loader" in sys.modules, text)
""")
    assert said == "False True a: 1"


def test_serve_imports_nothing_it_does_not_use() -> None:
    said = _said("""
import sys
from shop.__main__ import _arguments
_arguments(["serve"])
print(sorted(name for name in ("annotated_types", "attr", "dotenv", "pydantic", "rich", "trio") if sys.modules[name]))
print("yaml.loader" in sys.modules, "shop.commands.work" in sys.modules)
""")
    assert said.split("\n") == ["[]", "False False"]
