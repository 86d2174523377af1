"""What is kept of an assessment: it comes back as it was, and nothing damaged is believed."""

import numpy as np
import pytest

from strongroom.engines.robustness.assessment import keeping
from strongroom.engines.robustness.assessment.keeping import Keeper, Kept, kept_from
from strongroom.engines.robustness.assessment.running import Ran
from strongroom.engines.robustness.membership.evidence import usable
from strongroom.engines.robustness.membership.pool import Pool
from strongroom.engines.robustness.membership.shadows import Shadows, design
from strongroom.engines.robustness.outcome import Measure, Outcome, Status
from strongroom.engines.robustness.recipes import reference
from strongroom.errors import StrongroomError, TooLargeError, ValidationError

RAN = Ran(
    "membership.loss", 2, "Loss", (), Outcome("membership.loss", 2, (), (Measure("AUC", 0.5),)),
    Status.INFORMATION, "", 1.5,
)  # fmt: skip
KEPT = Kept({RAN.test: RAN}, {"membership.shadows": b"\x00\x01", "other": b""})


def test_all_of_it_comes_back() -> None:
    assert kept_from(KEPT.to_bytes()) == KEPT
    assert kept_from(Kept().to_bytes()) == Kept()


def test_a_keeper_writes_the_whole_at_each_change() -> None:
    written: list[Kept] = []
    keeper = Keeper(Kept(), lambda kept: written.append(kept_from(kept.to_bytes())))
    keeper.bundle("shadows", b"1")
    keeper.bundle("shadows", b"12")
    keeper.ran(RAN)
    assert written == [
        Kept({}, {"shadows": b"1"}), Kept({}, {"shadows": b"12"}),
        Kept({RAN.test: RAN}, {"shadows": b"12"}),
    ]  # fmt: skip
    again: list[Kept] = []
    Keeper(written[-1], again.append).bundle("more", b"3")
    assert again == [Kept({RAN.test: RAN}, {"shadows": b"12", "more": b"3"})]


def test_what_is_too_large_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_BUNDLES", 3)
    kept = kept_from(Kept({}, {"small": b"12", "large": b"12345", "none left": b"12"}).to_bytes())
    assert kept.bundles == {"small": b"12"}
    with pytest.raises(TooLargeError):
        kept_from(bytes(keeping.MAX_BYTES + 1))


def test_what_is_damaged_is_refused() -> None:
    data = KEPT.to_bytes()
    cut = [data[:at] for at in (0, 7, 19, 25, len(data) - 1)]
    changed = [data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] for at in range(60)]
    for wrong in (*cut, *changed, data + b"x", b'{"version": 1, "tests": []}'):
        with pytest.raises(StrongroomError):
            kept_from(wrong)
    names = b'{"a": -1, "b": 1}'
    head = keeping._HEAD.pack(keeping._MAGIC, len(names), 0)
    with pytest.raises(ValidationError, match="cannot be read"):
        kept_from(head + names)


def test_shadow_models_of_others_are_not_used() -> None:
    rows = np.random.default_rng(0).random((40, 2))
    truth = np.arange(40) % 2
    pool = Pool(rows, truth, 2, np.arange(40) < 20, np.arange(40))
    recipe = reference("logistic", 2)
    made = Shadows(design(pool, 16, 1), recipe.name, recipe.is_own)
    bundle = made.to_bytes(pool, 1)
    assert usable(bundle, pool, 1, recipe) == bundle
    assert usable(bundle, pool, 1, None) == bundle  # one of the references
    other = Pool(rows + 1, truth, 2, pool.is_member, pool.places)
    fewer = Shadows(design(pool, 8, 1), recipe.name, recipe.is_own).to_bytes(pool, 1)
    for wrong in (b"", bundle[:-1], bundle + b"1", fewer):
        assert usable(wrong, pool, 1, recipe) == b""
    assert usable(bundle, other, 1, recipe) == b""
    assert usable(bundle, pool, 2, recipe) == b""
    assert usable(bundle, pool, 1, reference("forest", 2)) == b""
