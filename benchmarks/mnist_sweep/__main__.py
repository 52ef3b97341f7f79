"""What `python -m benchmarks.mnist_sweep` runs."""

import sys

from benchmarks.mnist_sweep.main import main

sys.exit(main())
