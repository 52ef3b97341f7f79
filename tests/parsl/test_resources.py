"""Is a specification read as Parsl's users mean it?"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from parsl.executors.errors import InvalidResourceSpecification

from vine.parsl.resources import Specifications, options_of


def test_what_is_known_becomes_options() -> None:
    given = {"cores": 2, "memory": 100, "disk": 50, "gpus": 1, "priority": 3, "category": "fit", "features": ["big"]}
    more = {"running_time_max": 60, "exec_mode": "regular", "running_time_min": 10, "environment": "env.tar.gz"}
    known = Specifications().read({**given, **more})
    assert known == {**given, **more}
    assert options_of(known) == {**given, "time_limit": 60, "isolation": "process"}


def test_unknown_keys_are_ignored_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    specifications = Specifications()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert specifications.read({"cpus": 1, "memory": 1}) == {"memory": 1}
    assert [record.getMessage().count("cpus") for record in caplog.records] == [1]


def test_what_is_none_is_left_out() -> None:
    assert Specifications().read({"cores": None, "memory": 1}) == {"memory": 1}


@pytest.mark.parametrize("wrong", [{"exec_mode": "python"}, ["cores"]])
def test_what_is_no_specification_is_parsls_error(wrong: Any) -> None:
    with pytest.raises(InvalidResourceSpecification):
        Specifications().read(wrong)
