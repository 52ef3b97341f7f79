"""Do values of the user's own types travel as their serialisers say, wherever they are, and do failures name them?"""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vine
from tests.client import typed
from tests.client.typed import Celsius, Mean, Point, Sealed, Temperature
from vine.client import serialise
from vine.client.executor import Executor
from vine.errors import NotSerialisable, UsageError

pytestmark = pytest.mark.usefixtures("nothing_registered")
GIVE_UP_S = 30


def nobodys(future: Future[Any]) -> None:
    return None


def there_and_back(*args: Any) -> Any:
    payload, _ = serialise.dump_call(args, {}, "f", nobodys)
    return serialise.load(payload)[0]


def test_what_pickle_cannot_carry_travels_by_its_serialiser_and_so_does_a_result(executor: Executor) -> None:
    # given a type that refuses to be pickled
    with pytest.raises(TypeError):
        pickle.dumps(Sealed(1))
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    # when it is an argument, nested too, and a result
    future = executor.submit(typed.sealed_sum, Sealed(1), [Sealed(2), {"three": Sealed(3)}])
    # then it comes as what it was
    result = future.result(GIVE_UP_S)
    assert type(result) is Sealed and result.content == 6


def test_the_serialisers_serve_results_of_calls_that_are_given_nothing_of_their_type(executor: Executor) -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    assert executor.submit(typed.make_sealed, 5).result(GIVE_UP_S).content == 5


def test_a_result_that_another_call_takes_needs_no_detour(executor: Executor) -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    first = executor.submit(typed.make_sealed, 5)
    assert executor.submit(typed.sealed_sum, first, []).result(GIVE_UP_S).content == 5


def test_a_chunk_of_calls_is_served_too(executor: Executor) -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    results = executor.map(typed.sealed_sum, [Sealed(1), Sealed(2)], [[], []], chunksize=2)
    assert [result.content for result in results] == [1, 2]


def test_a_derived_type_has_the_nearest_serialiser() -> None:
    vine.register_serialiser(Temperature, lambda value: ("temperature", value.degrees), lambda data: data)
    assert there_and_back(Celsius(3)) == (("temperature", 3),)
    vine.register_serialiser(Celsius, lambda value: ("celsius", value.degrees), lambda data: data)
    assert there_and_back(Celsius(3), Temperature(4)) == (("celsius", 3), ("temperature", 4))


def test_the_last_registration_of_a_type_counts_and_what_was_dumped_before_is_read_as_before() -> None:
    vine.register_serialiser(Point, lambda point: (point.x, point.y), lambda data: Point(*data))
    before = serialise.dump(Point(1, 2))
    vine.register_serialiser(Point, lambda point: {"x": point.x}, lambda data: Point(data["x"], 0))
    assert serialise.load(before) == Point(1, 2)
    assert there_and_back(Point(1, 2)) == (Point(1, 0),)


def test_what_a_dump_returns_may_hold_registered_values_itself() -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    vine.register_serialiser(Mean, lambda mean: mean.parts, Mean)
    (mean,) = there_and_back(Mean([Sealed(1), Sealed(2)]))
    assert [part.content for part in mean.parts] == [1, 2]


def test_lambdas_beside_it_do_not_keep_it_from_its_serialiser() -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, Sealed)
    sealed, function = there_and_back(Sealed(4), lambda x: x + 1)
    assert (sealed.content, function(1)) == (4, 2)


points = st.builds(Point, st.integers(), st.text())


@given(value=st.recursive(st.integers() | points, lambda inner: st.lists(inner) | st.tuples(inner)))
def test_it_is_found_anywhere_inside_of_plain_containers(value: Any) -> None:
    vine.register_serialiser(Point, lambda point: [point.x, point.y], lambda data: Point(*data))
    assert there_and_back(value) == (value,)


def test_a_function_is_sent_anew_with_what_has_been_registered_since(executor: Executor) -> None:
    assert executor.submit(typed.make_point, 1).result(GIVE_UP_S) == Point(1, 1)
    vine.register_serialiser(Point, lambda point: point.x, lambda x: Point(x, "loaded"))
    assert executor.submit(typed.make_point, 1).result(GIVE_UP_S) == Point(1, "loaded")


# --- what goes wrong ---


def test_a_dump_that_fails_is_told_at_once_with_the_name_of_the_type(executor: Executor) -> None:
    vine.register_serialiser(Point, typed.fail, Point)
    with pytest.raises(NotSerialisable, match=r"'tests.client.typed.Point' failed in its dump \(KeyError: 'why'\)"):
        executor.submit(typed.make_point, Point(1, 2))


def test_a_dump_that_fails_of_a_result_ends_its_call(executor: Executor) -> None:
    vine.register_serialiser(Point, typed.fail, Point)
    error = executor.submit(typed.make_point, 1).exception(GIVE_UP_S)
    assert isinstance(error, NotSerialisable)
    assert "'tests.client.typed.Point' failed in its dump (KeyError: 'why')" in str(error)


def test_a_load_that_fails_where_the_call_runs_ends_it(executor: Executor) -> None:
    vine.register_serialiser(Point, lambda point: point.x, typed.fail)
    error = executor.submit(typed.make_point, Point(1, 2)).exception(GIVE_UP_S)
    assert isinstance(error, NotSerialisable)
    assert "'tests.client.typed.Point' failed in its load (KeyError: 'why')" in str(error)


def test_a_load_that_fails_here_is_the_error_of_its_result(executor: Executor) -> None:
    vine.register_serialiser(Sealed, typed.open_sealed, typed.loads_nowhere_else)
    error = executor.submit(typed.make_sealed, 1).exception(GIVE_UP_S)
    assert isinstance(error, NotSerialisable)
    assert "tests.client.typed.Sealed' failed in its load" in str(error)


@pytest.mark.parametrize("kind", [int, dict, object, type, Future, "Point", None])
def test_what_pickle_never_asks_about_is_refused(kind: Any) -> None:
    with pytest.raises(UsageError):
        vine.register_serialiser(kind, list, list)


def test_what_cannot_be_called_is_refused() -> None:
    dump: Any = "dump"
    with pytest.raises(UsageError, match="'dump' cannot be called"):
        vine.register_serialiser(Point, dump, Point)


def test_a_function_that_cannot_travel_is_refused_by_its_name() -> None:
    lines = (line for line in ())
    with pytest.raises(NotSerialisable, match="the serialiser for Point"):
        vine.register_serialiser(Point, lambda point: next(lines), Point)
