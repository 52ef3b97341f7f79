"""What `python -m benchmarks.peers` runs."""

import sys

from benchmarks.peers.main import main

sys.exit(main())
