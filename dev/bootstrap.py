"""``python3 dev/bootstrap.py [--dev] [ARGUMENT ...]``: make ``.venv`` whole, then run its Python with the arguments.

Any Python runs this file, to say so in one sentence when it is too old: no syntax here that Python 2 does not know.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the very case this file is for
    sys.exit(
        "error: This needs Python 3.11 or newer, and %s is %s: install one, or name it: make PYTHON=python3.13 ..."  # noqa: UP031
        % (sys.executable, ".".join(str(part) for part in sys.version_info[:3]))
    )

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
from dev import environment  # noqa: E402 - only a Python that is new enough can read it

if __name__ == "__main__":
    environment.enter(sys.argv[1:])
