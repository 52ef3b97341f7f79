"""What `python -m benchmarks.fleet` runs."""

import sys

from benchmarks.fleet.main import main

sys.exit(main())
