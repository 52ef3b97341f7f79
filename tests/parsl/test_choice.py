"""Has each app's call the options that its specification, its category and the configuration say?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parsl.executors.errors import InvalidResourceSpecification

from tests.client.scripted import ScriptedManager
from vine.client.manager import Manager
from vine.errors import FileMissing, UsageError
from vine.parsl.apps import Apps
from vine.parsl.choice import Choice
from vine.parsl.config import ManagerConfig
from vine.wire.messages import SetCategory
from vine.wire.parts import CategoryMode


def app() -> None:
    """What its category is named after."""


def choice(manager: Manager, **config: Any) -> Choice:
    return Choice(Apps(manager), ManagerConfig(**config))


def test_calls_that_ask_for_the_same_share_their_options(manager: Manager) -> None:
    chosen = choice(manager)
    first = chosen.of(app, {"cores": 2, "environment": None})
    assert chosen.of(app, {"cores": 2, "environment": None}) is first
    assert chosen.of(app, {"cores": 3}) is not first
    assert chosen.of(app, {}) is chosen.of(app, {})


def test_an_app_is_a_category_unless_it_names_one_or_that_is_off(manager: Manager) -> None:
    assert choice(manager).of(app, {}).call_options.category == "app"
    assert choice(manager).of(app, {"category": "fit"}).call_options.category == "fit"
    assert choice(manager, autocategory=False).of(app, {}).call_options.category == ""


def test_specifications_and_configuration_meet(manager: Manager) -> None:
    chosen = choice(manager).of(
        app, {"cores": 2, "memory": 10, "running_time_max": 5, "running_time_min": 3, "exec_mode": "regular"}
    )
    options = chosen.call_options
    assert (options.cores, options.memory, options.time_limit, options.time_min) == (2.0, 10.0, 5, 3.0)
    assert options.isolation == "process"


def test_with_labels_by_measurement_what_nobody_names_is_left_to_the_category(
    manager: Manager, scripted: ScriptedManager
) -> None:
    chosen = choice(manager, autolabel=True, autolabel_algorithm="min-waste")
    assert chosen.of(app, {}).call_options.cores is None
    assert chosen.of(app, {"cores": 2}).call_options.cores == 2.0
    scripted.until(lambda: scripted.all(SetCategory))
    (told,) = scripted.all(SetCategory)
    assert (told.category.name, told.category.mode) == ("app", CategoryMode.MIN_WASTE)


@pytest.mark.parametrize("wrong", [{"cores": -1}, {"memory": "2 GB"}, {"running_time_max": "long"}, {"gpus": 1.5}])
def test_a_figure_that_is_none_is_parsls_error(manager: Manager, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidResourceSpecification):
        choice(manager).of(app, wrong)


def test_a_list_of_requirements_can_be_asked_for(manager: Manager) -> None:
    chosen = choice(manager)
    first = chosen.of(app, {"environment": ["numpy"]})
    assert first.call_options.environment is not None
    assert chosen.of(app, {"environment": ["numpy"]}) is first


def test_what_cannot_be_hashed_is_read_and_not_remembered(manager: Manager) -> None:
    chosen = choice(manager)
    options = chosen.of(app, {"cores": 2, "comment": bytearray(b"of nobody's here")}).call_options
    assert options.cores == 2.0
    first = chosen.of(app, {"cores": 2, "features": {"a100"}})
    assert first.call_options.features == ("a100",)
    assert chosen.of(app, {"cores": 2, "features": {"a100"}}) is first
    with pytest.raises(InvalidResourceSpecification):
        chosen.of(app, {"cores": bytearray(b"2")})


def test_an_environment_that_was_replaced_at_its_path_is_not_taken_for_the_old_one(
    manager: Manager, tmp_path: Path
) -> None:
    archive, other = tmp_path / "env.tar.gz", tmp_path / "other"
    archive.write_bytes(b"old")
    chosen = choice(manager)
    first = chosen.of(app, {"environment": str(archive)})
    assert chosen.of(app, {"environment": str(archive)}) is first
    other.write_bytes(b"new")
    other.replace(archive)
    second = chosen.of(app, {"environment": str(archive)})
    assert second.call_options.environment is not first.call_options.environment
    archive.unlink()
    with pytest.raises(FileMissing, match="no environment at"):
        chosen.of(app, {"environment": str(archive)})


def test_what_the_configuration_leaves_out_may_be_none_as_in_parsls(manager: Manager) -> None:
    apps = Apps(manager).with_all(ManagerConfig(env_vars=None, max_retries=None))
    assert apps.call_options.variables == {} and apps.call_options.retries > 10**9
    with pytest.raises(UsageError, match="retries=-1"):
        Apps(manager).with_all(ManagerConfig(max_retries=-1))
