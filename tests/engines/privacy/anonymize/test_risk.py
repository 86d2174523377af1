"""Risks, estimates and the linkage attack."""

import numpy as np
import pytest

from strongroom.engines.privacy.anonymize.attack import link
from strongroom.engines.privacy.anonymize.hierarchy import parse_hierarchy
from strongroom.engines.privacy.anonymize.risk import population_uniques, risk_of
from strongroom.errors import ValidationError

TREE = parse_hierarchy("q", "a;x;*\nb;x;*\nc;y;*\nd;y;*\n")


def test_three_intruders() -> None:
    group = np.array([0, 0, 1, 2, 2, 2, -1])
    found = risk_of(group, 2, population=np.array([10, 2, 3]))
    assert (found.rows, found.groups, found.smallest) == (6, 3, 1)
    assert found.highest == 1.0
    assert found.average == pytest.approx(3 / 6)
    assert found.at_risk == pytest.approx(1 / 6)
    assert found.unique == pytest.approx(1 / 6)
    assert found.journalist_highest == pytest.approx(1 / 2)
    assert found.journalist_average == pytest.approx((2 / 10 + 1 / 2 + 3 / 3) / 6)
    assert risk_of(np.array([-1]), 2).highest == 0.0


@pytest.mark.parametrize("sampled", [0.05, 0.3])
def test_estimates_come_near_a_population_that_is_known(sampled: float) -> None:
    random = np.random.default_rng(11)
    # Group sizes of a population with a long tail of small groups.
    sizes = 1 + random.negative_binomial(0.4, 0.05, 12_000)
    person = np.repeat(np.arange(len(sizes)), sizes)
    drawn = random.random(len(person)) < sampled
    sample = np.unique(person[drawn], return_inverse=True)[1]
    really = float(np.mean(sizes[person[drawn]] == 1))
    found = population_uniques(sample, len(person))
    assert found.slide_negative_binomial == pytest.approx(really, rel=0.35)
    chosen = getattr(found, found.chosen)
    assert really / 4 < chosen < really * 4
    assert chosen <= found.unique_in_sample
    assert found.zayatz <= found.unique_in_sample


def test_estimates_of_the_whole_population_are_counts() -> None:
    found = population_uniques(np.array([0, 1, 1, 2]), 4)
    assert found.chosen == "exact"
    assert found.pitman == found.zayatz == pytest.approx(0.5)
    with pytest.raises(ValidationError, match="smaller"):
        population_uniques(np.array([0, 1]), 1)


def test_linking_counts_the_rows_that_could_be_theirs() -> None:
    codes = np.array([0, 0, 1, 2, 3])
    group = np.array([0, 0, 0, 1, 1])
    illness = np.array([5, 5, 5, 1, 2])
    before = link([codes], [TREE], [codes], np.array([0, 0, 1, 2, 3]), [("s", illness)], node=(0,))
    assert before.singled_out == pytest.approx(3 / 5)
    assert before.expected_hits == pytest.approx((0.5 + 0.5 + 3) / 5)
    after = link([codes], [TREE], [codes], group, [("s", illness)], node=(1,))
    assert after.singled_out == 0
    assert after.fewest == 2
    # All three of the first group have one illness: k alone does not hide it.
    assert dict(after.told) == {"s": pytest.approx(3 / 5)}


def test_groups_of_their_own_cover_sets_and_not_what_lies_between() -> None:
    codes, group = np.array([0, 2, 1, 3]), np.array([0, 0, 1, 1])
    found = link([np.array([1])], [TREE], [codes], group, [])
    assert found.fewest == 2
    assert found.expected_hits == pytest.approx(0.5)
    nobody = link([np.array([0])], [TREE], [codes], np.full(4, -1), [("s", codes)])
    assert nobody.matched == 0
