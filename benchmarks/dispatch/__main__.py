"""What `python -m benchmarks.dispatch` runs."""

import sys

from benchmarks.dispatch.main import main

sys.exit(main())
