"""Does a function host begin with nothing of its own in the way of the user's modules?"""

from __future__ import annotations

import sys

import pytest

from tests.function_host.running import RunningHost

pytestmark = pytest.mark.live


def test_functions_of_main_do_not_see_the_hosts_own_names(host: RunningHost) -> None:
    names = host.result(lambda: sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__")))
    assert names == []
