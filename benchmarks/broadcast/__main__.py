"""What `python -m benchmarks.broadcast` runs."""

import sys

from benchmarks.broadcast.main import main

sys.exit(main())
