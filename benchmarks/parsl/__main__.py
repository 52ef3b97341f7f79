"""What `python -m benchmarks.parsl` runs."""

import sys

from benchmarks.parsl.main import main

sys.exit(main())
