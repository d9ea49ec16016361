"""Where rules stand: laws of an order and of the numbers that keep it."""

from hypothesis import given
from hypothesis import strategies as st

from fetchrules.rulebook.arrangement import numbered, with_missing

keys = st.lists(st.integers(1, 30), unique=True, max_size=12)


@given(keys, keys)
def test_it_loses_nothing_that_is_missing(new: list[int], old: list[int]) -> None:
    order = with_missing(new, old)
    assert sorted(order) == sorted({*new, *old})
    assert [item for item in order if item in new] == new


@given(keys)
def test_it_leaves_what_is_missing_where_it_was(old: list[int]) -> None:
    assert with_missing([item for item in old if item % 3], old) == old


@given(keys, st.dictionaries(st.integers(1, 30), st.integers(-50, 50)))
def test_it_numbers_in_ascending_order(order: list[int], positions: dict[int, int]) -> None:
    known = {item: position for item, position in positions.items() if item in order}
    numbers = numbered(order, known)
    placed = [numbers[item] for item in order]
    assert placed == sorted(set(placed))


@given(st.lists(st.integers(-10_000, 10_000), unique=True, min_size=1), keys)
def test_it_moves_nothing_to_make_room_at_the_end(positions: list[int], new: list[int]) -> None:
    known = {-1 - number: position for number, position in enumerate(sorted(positions))}
    numbers = numbered([*known, *new], known)
    assert {item: numbers[item] for item in known} == known


def test_it_puts_new_ones_between_others_without_moving_them() -> None:
    assert numbered(["a", "x", "b"], {"a": 1024, "b": 2048}) == {"a": 1024, "x": 1536, "b": 2048}
    assert numbered(["x", "a"], {"a": 5}) == {"x": 5 - 1024, "a": 5}
