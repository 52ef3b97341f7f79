"""What `python -m benchmarks.environment` runs."""

import sys

from benchmarks.environment.main import main

sys.exit(main())
