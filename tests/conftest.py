"""How the tests are tried: the same examples in every run, or new ones on demand.

A run that fails here fails everywhere. `pytest --hypothesis-profile explore` draws new examples.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False, print_blob=True)
settings.load_profile("same")
