"""The same scripted manager as for the tests of clients."""

from __future__ import annotations

from tests.client.conftest import manager as manager
from tests.client.conftest import scripted as scripted
