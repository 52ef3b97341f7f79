"""What `python -m benchmarks.scale` runs."""

import sys

from benchmarks.scale.main import main

sys.exit(main())
