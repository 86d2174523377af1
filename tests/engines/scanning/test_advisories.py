"""Advisories: OSV's own evaluation, one vulnerability of several records, the index."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from strongroom.engines.scanning.advisories import FILED_UNDER, AdvisoryIndex, build_index
from strongroom.engines.scanning.osv import (
    Affected,
    Range,
    compare_pep440,
    compare_semver,
    is_affected,
    rating_of,
    read_record,
)
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.requirements import Requirement, read_requirements


def record(identity: str, *affected: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    parts = [{"package": {"ecosystem": "PyPI", "name": "demo"}, **one} for one in affected]
    return {"id": identity, "modified": "2026-01-02T03:04:05Z", "affected": parts, **more}


def span(*events: tuple[str, str], kind: str = "ECOSYSTEM") -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": [{name: text} for name, text in events]}]}


def index(*records: dict[str, Any]) -> AdvisoryIndex:
    return AdvisoryIndex(build_index(records, "here"))


def wanted(line: str) -> Requirement:
    (only,) = read_requirements(line).wanted
    return only


def ids(found: AdvisoryIndex, line: str) -> list[str]:
    return [known.advisory.ids[0] for known in found.concerning(wanted(line))]


# ---- ranges ----

IN, FIX, LAST, LIMIT = "introduced", "fixed", "last_affected", "limit"


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        ([(IN, "0"), (FIX, "2.0")], "1.9", True),
        ([(IN, "0"), (FIX, "2.0")], "2.0", False),
        ([(IN, "0"), (FIX, "2.0")], "2.0rc1", True),  # older than the fix
        ([(IN, "1.0"), (FIX, "2.0")], "0.9", False),
        ([(IN, "1.0"), (FIX, "2.0")], "1.0", True),
        ([(IN, "1.0"), (LAST, "1.5")], "1.5", True),
        ([(IN, "1.0"), (LAST, "1.5")], "1.5.1", False),
        ([(IN, "1.0"), (LAST, "1.5")], "1.5.post1", False),
        ([(FIX, "2.0"), (IN, "0")], "1.0", True),  # events come in any order
        ([(IN, "0"), (FIX, "1.0"), (IN, "2.0"), (FIX, "3.0")], "1.5", False),
        ([(IN, "0"), (FIX, "1.0"), (IN, "2.0"), (FIX, "3.0")], "2.5", True),
        ([(IN, "0")], "99", True),
        ([(IN, "0"), (LIMIT, "2.0")], "2.0", False),  # nothing is said from the limit on
        ([(IN, "0"), (LIMIT, "2.0")], "1.0", True),
        ([(IN, "0"), (LIMIT, "*")], "9", True),
        ([(FIX, "2.0")], "1.0", False),  # nothing was introduced
        ([(IN, "0"), (FIX, "1.10")], "1.9", True),  # numbers, not texts
        ([(IN, "0"), (FIX, "1!1.0")], "2020.1", True),
    ],
)
def test_the_evaluation_of_osv(
    events: list[tuple[str, str]],
    version: str,
    expected: bool,  # a column
) -> None:
    one = Affected(frozenset(), (Range("ECOSYSTEM", tuple(events)),))
    assert is_affected(one, version) is expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0.0-alpha.1", True),
        ("1.0.0", False),
        ("1.0", False),
        ("0.9", True),
        ("1.0.0-rc.1", True),
    ],
)
def test_semantic_versions(version: str, expected: bool) -> None:  # a column
    one = Affected(frozenset(), (Range("SEMVER", ((IN, "0"), (FIX, "1.0.0"))),))
    assert is_affected(one, version) is expected


def test_the_order_of_semver_section_11() -> None:
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
               "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]  # fmt: skip
    for at, one in enumerate(ordered):
        for further, other in enumerate(ordered):
            assert compare_semver(one, other) == (at > further) - (at < further), (one, other)
    assert compare_semver("1.0.0+build.5", "1.0.0") == 0
    assert compare_semver("not-one", "1.0") == compare_pep440("not-one", "1.0") == -1


def test_a_listed_version_is_affected_however_it_is_written() -> None:
    one = Affected(frozenset({"1.0", "2.0.0-beta"}), ())
    for version in ("1.0", "2.0b0", "2.0.0-beta"):
        assert is_affected(one, version), version
    assert not is_affected(one, "1.0.1")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 30))
def test_ranges_against_an_own_walk(bounds: list[int], version: int) -> None:
    """Introduced and fixed in turn: affected are the versions between."""
    marks = sorted(set(bounds))
    events = tuple((IN if at % 2 == 0 else FIX, f"{mark}.1") for at, mark in enumerate(marks))
    expected = sum(mark <= version for mark in marks) % 2 == 1
    one = Affected(frozenset(), (Range("ECOSYSTEM", events),))
    assert is_affected(one, f"{version}.1") is expected


@given(st.text("0123456789.abrcpostdev!+-*", max_size=12), st.text("0123456789.abrc", max_size=8))
def test_versions_compare_both_ways(one: str, other: str) -> None:
    for compare in (compare_pep440, compare_semver):
        assert compare(one, other) == -compare(other, one)
        assert compare(one, one) == 0


# ---- records ----


def test_withdrawn_and_foreign_records_say_nothing() -> None:
    listed = {"versions": ["1.0"]}
    found = index(
        record("A-1", listed, withdrawn="2026-01-01T00:00:00Z"),
        {"id": "A-2", "affected": [{"package": {"ecosystem": "npm", "name": "demo"}, **listed}]},
        record("A-3", span((IN, "0" * 40), kind="GIT")),
    )
    assert ids(found, "demo==1.0") == []
    assert (found.records, found.newest) == (3, "2026-01-02")


def test_records_about_one_vulnerability_are_one() -> None:
    first = record("PYSEC-1", span((IN, "0"), (FIX, "2.0")), aliases=["CVE-2026-1"])
    second = record("GHSA-1", span((IN, "2.5"), (FIX, "3.0")), aliases=["CVE-2026-1"],
                    summary="it leaks", database_specific={"severity": "HIGH"})  # fmt: skip
    third = record("PYSEC-2", span((IN, "0"), (FIX, "2.0")), aliases=["CVE-2026-2"])
    found = index(first, second, third)
    (known,) = [k for k in found.concerning(wanted("Demo==1.0")) if "CVE-2026-1" in k.advisory.ids]
    assert known.advisory.ids == ("CVE-2026-1", "GHSA-1", "PYSEC-1")
    assert (known.advisory.rating, known.advisory.summary) == ("high", "it leaks")
    assert known.advisory.fixed_in("1.0") == "2.0"
    assert ids(found, "demo==2.7") == ["CVE-2026-1"]
    assert ids(found, "demo==3.0") == []


def test_aliases_join_through_a_third_record() -> None:
    """Two records that know nothing of each other, and one that knows both."""
    part = span((IN, "0"))
    found = index(
        record("A-1", part), record("B-1", part), record("C-1", part, aliases=["A-1", "B-1"])
    )
    assert ids(found, "demo==1") == ["A-1"]
    assert found.about("demo")[0].ids == ("A-1", "B-1", "C-1")


# Vectors and scores: FIRST, CVSS v3.1 and v4.0 examples, and NVD's of CVE-2014-0160 (v2).
@pytest.mark.parametrize(
    ("kind", "vector", "rating"),
    [
        ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical"),
        ("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "high"),
        ("CVSS_V3", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "low"),
        ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "critical"),
        ("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:N/A:N", "medium"),
        ("CVSS_V3", "nonsense", None),
        ("CVSS_V3", "CVSS:3.1/AV:N", None),
        ("CVSS_V4", "", None),
    ],
)
def test_ratings(kind: str, vector: str, rating: str | None) -> None:
    assert rating_of(kind, vector) == rating


def test_the_newest_vector_counts_and_else_the_word() -> None:
    scores = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
              {"type": "CVSS_V4", "score": "nonsense"}]  # fmt: skip
    listed = {"versions": ["1"]}
    for more, rating in (
        ({"severity": scores}, "critical"),
        ({"database_specific": {"severity": "MODERATE"}}, "medium"),
        ({"database_specific": {"severity": "unheard of"}}, "unknown"),
        ({}, "unknown"),
    ):
        ((_, advisory),) = read_record(record("A-1", listed, **more))
        assert advisory.rating == rating


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": ""},
        {"id": "a b"},
        {"id": "A-1", "affected": 3},
        {"id": "A-1", "affected": [3]},
        {"id": "A-1", "affected": [{"package": {"ecosystem": "PyPI"}}]},
        record("A-1", {"ranges": "x"}),
        record("A-1", {"versions": "1.0"}),
        record("A-1", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": 0}]}]}),
    ],
)
def test_records_of_another_form_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        read_record(bad)


# ---- what a requirement leaves open ----


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("demo", ["A-2"]),  # the newest has no fix
        ("demo>=1", ["A-2"]),
        ("demo<2", ["A-1", "A-2"]),  # the newest that is allowed and known is 1.9
        ("demo~=1.0", ["A-1", "A-2"]),
        ("demo==1.*", ["A-1", "A-2"]),
        ("demo<0.5", []),  # nothing of the kind is known
        ("other==1.0", []),
    ],
)
def test_versions_left_open(line: str, expected: list[str]) -> None:
    found = index(record("A-1", {"versions": ["1.8", "1.9"], **span((IN, "1.0"), (FIX, "2.0"))}),
                  record("A-2", span((IN, "1.0"))))  # fmt: skip
    assert sorted(ids(found, line)) == expected


def test_packages_that_are_hostile_themselves() -> None:
    found = index(record("MAL-2026-1", {"versions": ["8.3.41"]}))
    assert [k.advisory.is_malware for k in found.concerning(wanted("demo==8.3.41"))] == [True]
    assert ids(found, "demo==8.3.40") == []
    always = index(record("MAL-2026-2", {}))
    assert ids(always, "demo==1") == ["MAL-2026-2"]


# ---- the index ----


def test_an_index_that_is_damaged_says_so() -> None:
    data = build_index([record("A-1", span((IN, "0")))], "here")
    assert AdvisoryIndex(data).fingerprint == "here"
    for cut in range(0, len(data), 7):
        try:
            AdvisoryIndex(data[:cut]).about("demo")
        except MalformedError:
            continue
        pytest.fail(f"a cut after {cut} bytes was not noticed")
    for bad in (b"", b"SQLite format 3\0", data[:8] + b"\xff" * 8 + data[16:]):
        with pytest.raises(MalformedError):
            AdvisoryIndex(bad)


@given(st.integers(8, 400), st.integers(1, 255))
def test_changed_bytes_never_break_the_index(place: int, change: int) -> None:
    data = bytearray(build_index([record("A-1", span((IN, "0"), (FIX, "2")))], "here"))
    data[place % len(data)] ^= change
    try:
        AdvisoryIndex(bytes(data)).concerning(wanted("demo==1.0"))
    except MalformedError:
        return


# ---- a real mirror ----


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Iterator[AdvisoryIndex]:
    file = shared_data / "osv-pypi" / "pypa-advisories-2024-10-10.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield AdvisoryIndex(build_index(map(json.loads, lines), "real"))


# Counts: README of the snapshot, measured there by another program.
@pytest.mark.parametrize(
    ("line", "count"),
    [("flask==0.12.2", 3), ("jinja2==2.10", 2), ("pyyaml==5.3.1", 1), ("requests==2.19.1", 2),
     ("urllib3==1.24.1", 7), ("werkzeug==0.15.3", 4), ("flask==99", 0)],
)  # fmt: skip
def test_the_counts_of_the_snapshot(real: AdvisoryIndex, line: str, count: int) -> None:
    assert len(real.concerning(wanted(line))) == count


def test_split_distributions_are_filed_under_their_project(real: AdvisoryIndex) -> None:
    whole = real.concerning(wanted("mlflow==2.3.0"))
    part = real.concerning(wanted("mlflow-skinny==2.3.0"))
    assert len(part) == len(whole) > 0
    assert {known.filed_under for known in part} == {"mlflow"}
    assert not FILED_UNDER.keys() & set(FILED_UNDER.values())


def test_the_snapshot_against_an_own_reading(real: AdvisoryIndex, shared_data: Path) -> None:
    """Every listed version of some projects, by the plain rule: listed, or between the events."""
    file = shared_data / "osv-pypi" / "pypa-advisories-2024-10-10.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for name in ("flask", "pillow", "jupyterlab"):
        about = [(r, a) for r in records if "withdrawn" not in r for a in r["affected"]
                 if a["package"]["name"].lower() == name]  # fmt: skip
        versions = {v for _, a in about for v in a.get("versions", [])}
        for version in sorted(versions)[::5]:
            expected = {r["id"] for r, a in about if _plainly(a, version)}
            known = real.concerning(wanted(f"{name}=={version}"))
            assert {i for k in known for i in k.advisory.ids} >= expected, (name, version)
            assert len(known) <= len(expected), (name, version)


def _plainly(affected: dict[str, Any], version: str) -> bool:
    if version in affected.get("versions", []):
        return True
    for one in affected.get("ranges", []):
        bounds = [(Version(t) if t != "0" else Version("0.dev0"), n) for e in one["events"]
                  for n, t in e.items()] if one["type"] == "ECOSYSTEM" else []  # fmt: skip
        inside = [n for bound, n in sorted(bounds) if bound <= Version(version)]
        if inside and inside[-1] == "introduced":
            return True
    return False
