"""Several releases of the same people, against counting by hand and against an intruder."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.anonymize.composition import SUPPRESSED, Trace, composed
from strongroom.engines.privacy.anonymize.recipe import DemandsRecipe, Diversity
from strongroom.errors import ValidationError


def trace(
    group: list[int], values: list[int], *, rows: list[int] | None = None,
    people: list[int] | None = None, **demands: object,
) -> Trace:  # fmt: skip
    """A release of rows 0, 1, …, each about a person of its own unless said."""
    keys = np.array(rows if rows is not None else range(len(group)), dtype=np.int64)
    whom = np.array(people, dtype=np.int64) if people is not None else keys
    asked = DemandsRecipe(**{"k": 2, **demands})  # type: ignore[arg-type] # as given
    return Trace(keys, whom, np.array(group), {"illness": np.array(values)}, asked)


def test_the_intersection_of_two_releases_names_an_illness() -> None:
    """Ganta, Kasiviswanathan & Smith 2008: each release is 3-anonymous and 3-diverse, both are not.

    Alice is in one hospital's group of flu, cancer, gout and in the other's of flu, ulcer, angina.
    """
    illness = [0, 1, 2, 0, 1, 2, 0, 1, 2]
    first = trace([0, 0, 0, 1, 1, 1, 2, 2, 2], illness, k=3, l=3)
    second = trace([0, 1, 2, 2, 0, 1, 1, 2, 0], illness, k=3, l=3)
    assert composed([first]).breaches == composed([second]).breaches == ()
    both = composed([first, second])
    assert (both.people, both.cells, both.smallest) == (9, 9, 1)
    values = "illness: distinct values"
    assert {(one.release, one.demand) for one in both.breaches} == {
        (0, "k"), (1, "k"), (0, values), (1, values),
    }  # fmt: skip
    assert {(one.asked, one.worst, one.people) for one in both.breaches} == {(3.0, 1.0, 9)}


def test_the_same_groups_again_tell_nothing_more() -> None:
    group, illness = [0, 0, 1, 1, 1], [0, 1, 0, 1, 1]
    again = composed([trace(group, illness, l=2), trace([7, 7, 3, 3, 3], illness, l=2)])
    assert (again.cells, again.smallest, again.breaches) == (2, 2, ())


def test_coarser_groups_around_finer_ones_tell_nothing_more() -> None:
    illness = [0, 1, 0, 1, 0, 1]
    fine = trace([0, 0, 1, 1, 2, 2], illness, l=2)
    coarse = trace([0, 0, 0, 0, 1, 1], illness, k=2, l=2)
    assert composed([fine, coarse]).breaches == ()
    # A later promise of more than what is out already does not hold.
    proud = composed([fine, trace([0, 0, 0, 0, 1, 1], illness, k=4)])
    assert [(one.release, one.demand, one.worst) for one in proud.breaches] == [(1, "k", 2.0)]


def test_who_was_suppressed_and_then_shown_is_a_part_of_their_own() -> None:
    illness = [0, 1, 0, 1, 1]
    first = trace([0, 0, 0, 0, SUPPRESSED], illness)
    second = trace([0, 0, 0, 0, 0], illness)
    both = composed([first, second])
    assert both.smallest == 1
    assert [(one.release, one.people) for one in both.breaches] == [(1, 1)]
    nobody = composed([trace([SUPPRESSED] * 3, [0, 1, 2])])
    assert (nobody.people, nobody.breaches) == (0, ())


def test_the_difference_of_two_versions_shows_who_came_and_who_went() -> None:
    """Xiao & Tao 2007: the value that the second release has more is the newcomer's."""
    first = trace([0, 0, 0, 1, 1], [0, 1, 0, 1, 0], rows=[1, 2, 3, 4, 5])
    second = trace([0, 0, 0, 0, 1, 1], [0, 1, 0, 2, 1, 0], rows=[1, 2, 3, 9, 4, 5])
    both = composed([first, second])
    assert [(one.release, one.demand, one.worst, one.people) for one in both.breaches] == [
        (1, "k", 1.0, 1)
    ]
    # Two that come together, with different values, are safe; so are two that leave.
    third = trace([0] * 5 + [1, 1], [0, 1, 0, 2, 1, 1, 0], rows=[1, 2, 3, 9, 8, 4, 5], l=2)
    assert composed([trace([0, 0, 0, 1, 1], [0, 1, 0, 1, 0], rows=[1, 2, 3, 4, 5], l=2),
                     third]).breaches == ()  # fmt: skip
    left = trace([0, 0, 0, 0], [0, 1, 0, 2], rows=[1, 2, 3, 9])
    assert [one.demand for one in composed([second, left]).breaches] == []


def test_a_group_of_one_persons_rows_is_no_group_of_k() -> None:
    group, illness, people = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [1, 1, 1, 2, 3, 4]
    visits = composed([trace(group, illness, people=people, k=3)])
    assert [(one.demand, one.worst, one.people) for one in visits.breaches] == [("k", 1.0, 1)]


@pytest.mark.parametrize(
    ("demands", "demand", "worst"),
    [
        ({"l": 1.9, "diversity": Diversity.ENTROPY}, "illness: entropy diversity", 1.0),
        ({"l": 2, "c": 0.9, "diversity": Diversity.RECURSIVE}, "illness: recursive diversity", 1.0),
        ({"t": 0.4}, "illness: distance", 0.5),
        ({"beta": 0.5}, "illness: β-likeness", 0.25),
        ({"delta_disclosure": 1.0}, "illness: δ-disclosure", None),
    ],
)
def test_every_promise_on_values_is_held_against_the_cells(
    demands: dict[str, object], demand: str, worst: float | None
) -> None:
    illness = [0, 0, 1, 1] * 2
    first = trace([0] * 8, illness, rows=None, people=None, k=1, **demands)
    second = trace([0, 0, 1, 1] * 2, illness, k=1)
    assert composed([first]).breaches == () or "recursive" in demand
    found = [one for one in composed([first, second]).breaches if one.release == 0]
    assert [one.demand for one in found] == [demand]
    assert found[0].people == 8
    if worst is not None:
        assert found[0].worst == pytest.approx(worst)


def test_traces_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValidationError):
        composed([])
    with pytest.raises(ValidationError):
        composed([trace([0, 0], [1, 1], rows=[4, 4])])
    with pytest.raises(ValidationError):
        composed([trace([0, 0], [1, 1, 1])])


def _lists(one: st.SearchStrategy[int], count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(one, min_size=count, max_size=count)


@st.composite
def several(draw: st.DrawFn) -> list[Trace]:
    """Up to three releases of up to twelve rows about up to eight people."""
    people = draw(st.lists(st.integers(0, 7), min_size=1, max_size=12))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        rows = sorted(draw(st.sets(st.integers(0, len(people) - 1), min_size=1)))
        found.append(
            trace(
                draw(_lists(st.integers(-1, 2), len(rows))),
                draw(_lists(st.integers(0, 2), len(rows))),
                rows=rows, people=[people[row] for row in rows],
                k=draw(st.integers(1, 3)), l=draw(st.sampled_from([0, 2, 3])),
            )
        )  # fmt: skip
    return found


@settings(max_examples=300, deadline=None)
@given(several())
def test_cells_are_those_of_counting_by_hand(traces: list[Trace]) -> None:
    where: list[dict[int, tuple[int, int, int]]] = [
        {int(row): (int(group), int(person), int(value))
         for row, group, person, value in zip(
             one.rows, one.group, one.people, one.values["illness"], strict=True)}
        for one in traces
    ]  # fmt: skip
    cells: dict[tuple[int | None, ...], list[int]] = {}
    for row in set(itertools.chain.from_iterable(where)):
        seen = tuple(one[row][0] if row in one else None for one in where)
        if any(group is not None and group >= 0 for group in seen):
            cells.setdefault(seen, []).append(row)
    person = {row: one[row][1] for one in where for row in one}
    broken = set()
    for seen, rows in cells.items():
        for at, (group, one) in enumerate(zip(seen, traces, strict=True)):
            if group is None or group < 0:
                continue
            if len({person[row] for row in rows}) < one.demands.k:
                broken.add((at, "k"))
            if len({where[at][row][2] for row in rows}) < one.demands.l:
                broken.add((at, "illness: distinct values"))
    found = composed(traces)
    assert {(one.release, one.demand) for one in found.breaches} == broken
    assert found.cells == len(cells)
    assert found.people == len({person[row] for rows in cells.values() for row in rows})
    if cells:
        assert found.smallest == min(len({person[r] for r in rows}) for rows in cells.values())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_where_releases_compose_an_intruder_names_no_illness(data: st.DataObject) -> None:
    """The attack of Ganta et al.: what both releases show of somebody's groups, intersected."""
    count = data.draw(st.integers(4, 12))
    illness = data.draw(_lists(st.integers(0, 3), count))
    groups = [data.draw(_lists(st.integers(0, 2), count)) for _ in range(2)]
    both = composed([trace(one, illness, k=2, l=2) for one in groups])
    if both.breaches:
        return
    for person in range(count):
        shown = [
            {illness[other] for other in range(count) if one[other] == one[person]}
            for one in groups
        ]
        assert len(shown[0] & shown[1]) >= 2
