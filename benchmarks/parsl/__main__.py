"""`python -m benchmarks.parsl`: see main.py."""

import sys

from benchmarks.parsl.main import main

if __name__ == "__main__":
    sys.exit(main())
