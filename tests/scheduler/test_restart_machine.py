"""Whenever the manager dies, and whatever it had written by then: nothing is lost, and nothing is committed twice."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.scheduler.restarting import RestartingWorld
from tests.scheduler.test_core_machine import Run as RunWithoutRestarts


class Run(RunWithoutRestarts):
    """The run of `test_core_machine`, whose manager crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.world: RestartingWorld = RestartingWorld(lease_s=30.0)

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule(unwritten=st.integers(0, 8))
    def crash(self, unwritten: int) -> None:
        self.world.crash(unwritten)

    def teardown(self) -> None:
        self.world.pass_time(self.world.settings.lease_s)
        super().teardown()
        self.world.commit()
        assert set(self.tasks) <= self.world.committed.keys()


TestRun = Run.TestCase
TestRun.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
