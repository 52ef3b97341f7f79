"""Calls run on Parsl's HTEX, set for many short ones, as they do on the others."""

import pytest

from tests.benchmarks.peers.systems.contract import check_runs_or_is_missing


@pytest.mark.live
def test_it_runs_the_work_where_it_is_installed() -> None:
    check_runs_or_is_missing("parsl_htex_prefetching", "parsl")
