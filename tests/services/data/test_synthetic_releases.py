"""Releases of made-up rows: paid first, made up in the sandbox, approved by two, read by few."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv
import pytest
from tests.engines.privacy.dp.training.people import people
from tests.services.data.budgetroom import account, budget_of, set_budget
from tests.services.data.releaseroom import ReleaseRoom, releaseroom
from tests.vault.test_migrations import own_database

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.training.noise import rho_for
from strongroom.errors import (
    BudgetError,
    MissingExtraError,
    NotFoundError,
    RefusedError,
    SandboxError,
    StateError,
    StrongroomError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data.release_synthesizing import Synthesizing
from strongroom.services.data.release_types import (
    ListReleases,
    ReleaseKind,
    SynthesizeRelease,
    SyntheticAnswer,
    WithdrawRelease,
)
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.trying import JobContext
from strongroom.services.jobs.types import JobState

DOMAIN = """
[target]
name = "rich"
values = ["no", "yes"]

[columns.age]
low = 18
high = 90

[columns.town]
values = ["north", "south", "east"]
"""
ROWS = 3_000


def content() -> bytes:
    """So many rows; everybody has three."""
    found = io.BytesIO()
    pyarrow.csv.write_csv(people(ROWS), found)
    return found.getvalue()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ReleaseRoom]:
    """A room with people and a budget of 4; no job runs before it is started."""
    with releaseroom(tmp_path, start_jobs=False) as built:
        fill(built)
        yield built


def fill(room: ReleaseRoom) -> None:
    """People, and their budget."""
    room.data.add(content(), subject_column="person")
    set_budget(room.data, room.owner, 4.0, delta=1e-6)


def ask(
    room: ReleaseRoom, by: Principal | None = None, domain: str = DOMAIN, **fields: object
) -> SyntheticAnswer:
    """Ask for made-up rows of the people, for `reader` unless said."""
    request = SynthesizeRelease.model_validate(
        {"workspace": "clinic", "name": "patients", "epsilon": 3.0, "purpose": "teaching",
         "recipients": [room.reader.name], "rows": 3, **fields}
    )  # fmt: skip
    answer = room.call(by or room.owner, "data.release_synthetic", request, domain)
    assert isinstance(answer, SyntheticAnswer)
    return answer


def spends(room: ReleaseRoom) -> int:
    """How many there are."""
    return len(account(room.data, unit="person").spends)


def listed(room: ReleaseRoom) -> list[str]:
    """States of all releases, newest first."""
    asked = ListReleases(workspace="clinic", name="patients")
    return [one.state for one in room.call(room.owner, "data.releases", asked).releases]


def test_made_up_rows_from_asking_to_reading(room: ReleaseRoom) -> None:
    pytest.importorskip("mbi", reason="the extra `synthetic` is not installed")
    scientist = room.data.house.person("dora", "Data Scientist")
    answer = ask(room, scientist)
    assert (answer.fits, answer.spend) == (True, 1)
    assert answer.protects == "the people of column `person`"
    assert answer.epsilon == pytest.approx(3.0, rel=0.02)
    asked = answer.release
    assert asked is not None
    assert (asked.number, asked.kind, asked.state) == (1, ReleaseKind.SYNTHETIC, "making")
    room.jobs.start()
    assert room.jobs.wait(asked.job, 240).state is JobState.DONE
    detail = room.show(1)
    made, proof = detail.shown, detail.synthetic
    assert (made.state, detail.proof, detail.composition) == ("waiting", None, None)
    assert proof is not None
    assert (proof.epsilon, proof.delta, proof.rows_of_one_unit) == (3.0, 1e-6, 3)
    assert proof.unit == "a person, as `person` tells them"
    assert (proof.columns, proof.domain) == (["age", "town", "rich"], "declared")
    assert {name for pair in proof.pairs for name in pair} == set(proof.columns)
    assert len(proof.pairs) == 2
    assert proof.rows == made.rows == pytest.approx(ROWS, abs=300)
    spent = account(room.data, unit="person").spends[0]
    assert spent.kind == "release"
    assert Cost.from_json(detail.cost) == Cost.from_json(spent.cost) == Cost.zcdp(proof.rho)
    assert proof.rho == rho_for(3.0, 1e-6)
    # The figures look at real rows: they are for who may see those, and not for who asked.
    assert detail.quality is not None
    assert max(detail.quality.columns.values()) < 0.1
    assert detail.quality.auc == pytest.approx(detail.quality.auc_real, abs=0.1)
    for other in (scientist, room.data.house.person("al", "Auditor")):
        assert room.show(1, other).quality is None
        assert room.show(1, other).synthetic == proof
    with pytest.raises(StateError, match="waiting, not approved"):
        room.read(1)
    with pytest.raises(RefusedError):  # a scientist asks, and decides nothing
        room.call(scientist, "data.approve_release", room.reference(1))
    room.call(room.officer, "data.approve_release", room.reference(1))
    table = room.read(1)
    assert table.column_names == ["age", "town", "rich"]
    assert table.num_rows == made.rows
    ages = [age for age in table["age"].to_pylist() if age is not None]
    assert all(18 <= age <= 90 and float(age).is_integer() for age in ages)  # real ones are not
    told = room.call(room.reader, "data.release_proof", room.reference(1))
    assert (told.synthetic, told.cost) == (proof, detail.cost)
    assert "quality" not in told.model_dump()
    for other in (scientist, room.owner, room.officer):
        with pytest.raises(RefusedError):
            room.read(1, other)
    room.pass_days(91)
    with pytest.raises(StateError, match="expired"):
        room.read(1)
    events = [e for e in room.data.house.events() if e.operation.startswith("data.release")]
    assert [(e.operation, e.outcome) for e in events[:2]] == [
        ("data.release_synthetic", "allowed"), ("data.release.make", "allowed"),
    ]  # fmt: skip
    assert (events[0].details["spend"], events[0].details["readers"]) == (1, room.reader.id)
    assert events[1].details["epsilon"] == 3.0


def test_a_dry_run_says_the_cost_and_spends_nothing(room: ReleaseRoom) -> None:
    answer = ask(room, dry_run=True)
    assert (answer.fits, answer.release, answer.spend) == (True, None, None)
    assert answer.remaining == pytest.approx(1.0, rel=0.1)
    refused = ask(room, epsilon=9.0, dry_run=True)
    assert not refused.fits
    assert "would be spent" in str(refused.refusal)
    assert (spends(room), listed(room)) == (0, [])


WRONG: tuple[tuple[str, dict[str, object], type[StrongroomError], str], ...] = (
    ("", {}, TruncatedError, "no body"),
    (" ", {}, TruncatedError, "empty"),
    ("x = [", {}, ValidationError, "TOML"),
    ("# " + "x" * (256 << 10), {}, StrongroomError, "bytes"),
    (DOMAIN.replace("columns.town", "columns.street"), {}, ValidationError, "no column `street`"),
    (DOMAIN.replace("columns.town", "columns.person"), {}, ValidationError, "cannot be made up"),
    (DOMAIN, {"epsilon": 0.0}, ValidationError, "epsilon"),
    (DOMAIN, {"epsilon": -1.0}, ValidationError, "epsilon"),
    (DOMAIN, {"epsilon": 1e-6}, ValidationError, "noise of each count"),
    (DOMAIN, {"epsilon": 1e9}, ValidationError, "epsilon"),
    (DOMAIN, {"delta": 0.0}, ValidationError, "delta"),
    (DOMAIN, {"delta": 1.0}, ValidationError, "delta"),
    (DOMAIN, {"rows": 5_000}, ValidationError, "rows"),
    (DOMAIN, {"epsilon": 5.0}, BudgetError, "does not allow"),
    (DOMAIN, {"recipients": ["nobody-here"]}, NotFoundError, "no account"),
    (DOMAIN, {"recipients": ["role:Boss"]}, ValidationError, "unknown role"),
    (DOMAIN, {"version": 2}, NotFoundError, "no version"),
    (DOMAIN, {"name": "others"}, NotFoundError, "no dataset"),
)  # fmt: skip


def test_what_cannot_be_made_up_costs_nothing(
    room: ReleaseRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody may ask more than ten times a minute.
    askers = [room.data.house.person(f"dora-{at}", "Data Scientist") for at in range(2)]
    for at, (domain, fields, error, words) in enumerate(WRONG):
        with pytest.raises(error, match=words):
            ask(room, askers[at % 2], domain, **fields)
    room.data.add(b"age,town,rich\n20,north,no\n", "rows")
    with pytest.raises(ValidationError, match="subject column"):
        ask(room, name="rows", rows=2)
    with pytest.raises(StateError, match="no privacy budget"):
        ask(room, name="rows", rows=1)
    with monkeypatch.context() as patched:
        patched.setitem(__import__("sys").modules, "mbi", None)
        with pytest.raises(MissingExtraError) as caught:
            ask(room)
    assert "strongroom[synthetic]" in caught.value.next_step
    assert (spends(room), listed(room)) == (0, [])
    with room.data.house.database.read() as session:
        assert session.query(JobRow).count() == 0


def test_who_may_not_ask_for_made_up_rows(room: ReleaseRoom) -> None:
    for role in ("Contributor", "ML Engineer", "Reader", "Auditor", "Compute Operator", ""):
        person = room.data.house.person(f"pat-{role}", *([role] if role else []))
        with pytest.raises(RefusedError, match="synthesizeDataset"):
            ask(room, person)
    elsewhere = room.data.house.account("dirk", "Data Scientist", workspace="other")
    with pytest.raises(RefusedError, match="synthesizeDataset"):
        ask(room, elsewhere)
    assert spends(room) == 0
    ask(room)
    with pytest.raises(RefusedError, match="does not approve"):
        room.call(room.owner, "data.approve_release", room.reference(1))


def test_what_was_paid_for_and_fails_is_spent_and_no_release(
    room: ReleaseRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the sandbox's limits, a fault, cancelled, withdrawn, given up: each says so."""
    answers = [ask(room, epsilon=0.5) for _ in range(5)]
    jobs = [one.release.job for one in answers if one.release is not None]
    faults = {jobs[0]: SandboxError("killed"), jobs[1]: OSError("p7,27")}

    def broken(_work: Synthesizing, context: JobContext, _worker: object) -> None:
        raise faults[context.job_id]  # whichever of the jobs is taken first

    monkeypatch.setattr(Synthesizing, "make", broken)
    with room.data.house.database.write() as session:
        room.jobs.cancel(session, session.get_one(JobRow, jobs[2]))
        row = session.get_one(JobRow, jobs[4])  # as a server leaves it that died three times
        row.state, row.attempts = JobState.RUNNING, 3
    withdraw = WithdrawRelease(workspace="clinic", name="patients", number=4)
    room.call(room.officer, "data.withdraw_release", withdraw)
    room.jobs.start()
    states = [room.jobs.wait(job, 60).state for job in jobs]
    assert states == ["done", "failed", "cancelled", "done", "failed"]
    shown = [room.show(number).shown for number in range(1, 6)]
    assert [one.state for one in shown] == [
        "refused", "refused", "refused", "withdrawn", "refused"
    ]  # fmt: skip
    assert [one.refusal for one in shown] == [
        "it could not be made within the limits of the sandbox", "a fault of the server",
        "the job was cancelled", "", "the server ended during the last attempt",
    ]  # fmt: skip
    reader = room.data.house.person("rob", "Reader")
    assert room.show(1, reader).shown.refusal == shown[0].refusal  # no value decided it
    refused = [one for one in shown if one.state == "refused"]
    assert all(one.next_step.endswith("the epsilon counts as spent") for one in refused)
    assert spends(room) == 5
    with pytest.raises(StateError, match="refused"):
        room.call(room.officer, "data.approve_release", room.reference(5))
    outcomes = [e.outcome for e in room.data.house.events() if e.operation == "data.release.make"]
    assert outcomes == ["refused"] * 4


def test_postgresql_spends_and_gives_up_alike(tmp_path: Path, postgres_server_url: str) -> None:
    with (
        own_database(postgres_server_url) as url,
        releaseroom(tmp_path, url=url, start_jobs=False) as room,
    ):
        fill(room)
        answer = ask(room)
        assert answer.release is not None
        with pytest.raises(BudgetError):
            ask(room)
        with room.data.house.database.write() as session:
            room.jobs.cancel(session, session.get_one(JobRow, answer.release.job))
        assert (listed(room), spends(room)) == (["refused"], 1)
        assert budget_of(room.data, room.owner).spent == pytest.approx(3.0, rel=0.02)
