"""`make bench`, or `python -m bench [W1 W5 …]`: see `bench/README.md`."""

import sys

from bench import session
from dev.trouble import Trouble

if __name__ == "__main__":
    try:
        sys.exit(session.main(sys.argv[1:]))
    except Trouble as trouble:
        sys.exit(f"error: {trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
