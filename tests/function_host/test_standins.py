"""Do both ends mean the same by what stands for other values?"""

from __future__ import annotations

from typing import Any

import pytest

from vine.client import links
from vine_function_host import standins


def test_clients_name_what_hosts_have() -> None:
    for function in (links.result_at, links.shared_at):
        assert function.__module__ == standins.__name__, "a host would look for it in an environment that lacks vine"


@pytest.mark.parametrize("standin", [lambda: links.result_at(0), lambda: links.shared_at(0, True)])
def test_standins_are_filled_in_elsewhere(standin: Any) -> None:
    with pytest.raises(TypeError, match="filled in where the call runs"):
        standin()
