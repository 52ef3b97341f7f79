"""`python -m benchmarks.mnist_sweep`."""

import sys

from benchmarks.mnist_sweep.main import main

sys.exit(main())
