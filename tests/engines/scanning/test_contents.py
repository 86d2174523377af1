"""What a model carries: personal data, training rows, tables; advisories and licences in a scan."""

import io
import json
import pickle
import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.svm import SVC
from tests.engines.scanning.scan_bytes import rules, scan

from strongroom.engines.scanning.advisories import AdvisoryIndex, build_index
from strongroom.engines.scanning.contents import Knowledge, sized
from strongroom.engines.scanning.findings import Finding, Report, Verdict
from strongroom.engines.scanning.licences import policy
from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.secrets import Spotted

_MAIL = re.compile(r"[\w.]+@[\w.]+\w")
_NUMBER = re.compile(r"MRN[: ]\d+")


def mails(text: str) -> Iterator[Spotted]:
    """A finder of the simplest kind; the real one is tested with the services."""
    for kind, pattern in (("email", _MAIL), ("medical_record_number", _NUMBER)):
        for found in pattern.finditer(text):
            yield Spotted(*found.span(), kind)


def look(files: Mapping[str, bytes], **known: Any) -> Report:  # noqa: ANN401 # fields of Knowledge
    given = [(name, partial(io.BytesIO, data)) for name, data in files.items()]
    return scan_files(given, knowledge=Knowledge(spot_personal=mails, **known))


def found(report: Report, rule_id: str) -> Finding:
    (only,) = [finding for finding in report.findings if finding.rule_id == rule_id]
    return only


# ---- personal data ----

# Of several lengths: NumPy keeps texts without anything between the longest ones.
PEOPLE = [f"person{n}@example{'s' * (n % 3)}.org" for n in range(40)]


def dumped(value: object, dump: Callable[..., Any] = pickle.dump, **more: object) -> bytes:
    buffer = io.BytesIO()
    dump(value, buffer, **more)
    return buffer.getvalue()


def test_personal_data_in_every_form() -> None:
    encoder = LabelEncoder().fit(PEOPLE)
    vectorizer = CountVectorizer(token_pattern=r"\S+").fit(PEOPLE)
    cases = {
        "notes.txt": "\n".join(PEOPLE).encode(),
        "list.pkl": pickle.dumps(PEOPLE),
        "old.pkl": pickle.dumps(PEOPLE, 2),
        "encoder.pkl": pickle.dumps(encoder),
        "vectorizer.joblib": dumped(vectorizer, joblib.dump, compress=3),
        "classes.npy": dumped(np.array(PEOPLE), lambda value, file: np.save(file, value)),
        "packed.npz": dumped(
            np.array(PEOPLE), lambda value, file: np.savez_compressed(file, value)
        ),
        "config.json": json.dumps({"labels": PEOPLE}).encode(),
    }
    for name, data in cases.items():
        report = look({name: data})
        finding = found(report, "SR-PII-001")
        assert re.search(r"\b(2[5-9]|3\d|40) e-mail addresses", finding.says), (name, finding)
        assert report.verdict is Verdict.REVIEW
        assert b"@" not in report.to_bytes(), name
        assert finding.rule.atlas == "AML.T0035"


def test_the_share_of_the_file_is_said() -> None:
    text = "\n".join(PEOPLE).encode()
    says = found(look({"a.txt": text + b"\n" + b"x " * len(text)}), "SR-PII-001").says
    assert re.search(r"\(\d+ bytes, 3[0-4]% of the file\)$", says), says


@pytest.mark.parametrize(
    ("name", "text", "rule_id"),
    [
        ("notes.txt", "write to me@example.org\n", "SR-PII-002"),
        ("LICENSE", "\n".join(PEOPLE), "SR-PII-002"),
        ("README.md", "\n".join(PEOPLE), "SR-PII-002"),
        ("rows.txt", "patient MRN 1234\npatient MRN 1235\n", "SR-PII-001"),
        ("README.md", "".join(f"patient MRN {n}\n" for n in range(9)), "SR-PII-001"),
        ("rows.txt", "patient MRN 1234\npatient MRN 1234\n", "SR-PII-002"),  # twice the same
        ("rows.txt", "ask the patient first\n", None),
        (
            "requirements.txt",
            "numpy==1 # by a@b.org c@d.org e@f.org g@h.org i@j.org k@l.org\n",
            None,
        ),
    ],
)
def test_how_much_is_no_accident(name: str, text: str, rule_id: str | None) -> None:
    personal = {one for one in rules(look({name: text.encode()})) if one.startswith("SR-PII")}
    assert personal == ({rule_id} if rule_id else set())


# ---- rows of the training table ----


def table(rows: int, columns: int = 4) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    return rng.normal(size=(rows, columns)), rng.integers(0, 2, rows)


@pytest.fixture(scope="module")
def keepers() -> dict[str, BaseEstimator]:
    x, y = table(1_200)
    frame = pd.DataFrame(table(1_500)[0], columns=list("abcd"))
    return {
        "KNeighborsClassifier._fit_X": KNeighborsClassifier(algorithm="brute").fit(x, y),
        "SVC.support_vectors_": SVC().fit(x, y),
        "DataFrame": {"model": 1, "table": frame},
        "an array of objects": {"rows": np.array([["a", n] for n in range(2_000)], dtype=object)},
    }


@pytest.mark.parametrize(
    "place",
    ["KNeighborsClassifier._fit_X", "SVC.support_vectors_", "DataFrame", "an array of objects"],
)
def test_models_that_are_their_training_rows(keepers: dict[str, Any], place: str) -> None:
    model = keepers[place]
    dumps = [pickle.dumps(model), pickle.dumps(model, 2), dumped(model, joblib.dump),
             dumped(model, joblib.dump, compress=3)]  # fmt: skip
    for data in dumps:
        finding = found(scan(data, "model.pkl"), "SR-PII-003")
        assert re.match(r"keeps 1,\d{3} rows of 4|keeps 2,000 rows of 2", finding.says)
        assert f"`{place}`" in finding.says
        assert finding.length is not None
        assert finding.length > 10_000
        assert "% of the file)" in finding.says


def test_rows_in_a_skops_file() -> None:
    import skops.io

    for rows, rules_ in ((1_500, ["SR-PII-003"]), (20, [])):
        model = make_pipeline(KNeighborsClassifier(algorithm="brute")).fit(*table(rows))
        report = scan(skops.io.dumps(model), "model.skops")
        assert [finding.rule_id for finding in report.findings] == rules_
        for finding in report.findings:
            assert "keeps 1,500 rows of 4 columns" in finding.says


def test_few_rows_are_no_news() -> None:
    x, y = table(60)
    for model in (KNeighborsClassifier().fit(x, y), GaussianProcessClassifier().fit(x, y)):
        assert scan(pickle.dumps(model)).findings == ()


def test_a_table_beside_the_model() -> None:
    rows = b"age,sex\n" + b"30,f\n" * 2_000
    finding = found(look({"data/train.csv": rows}), "SR-PII-004")
    assert "of 2,001 lines" in finding.says
    assert "100% of the file" in finding.says
    assert "SR-PII-004" not in rules(look({"input_example.csv": b"age,sex\n30,f\n"}))
    frame = dumped(pd.DataFrame({"a": range(200_000)}), lambda value, file: value.to_parquet(file))
    assert "SR-PII-004" in rules(look({"train.bin": frame}))


# ---- packages ----

LISTED = {"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}


def advisories(**more: object) -> AdvisoryIndex:
    record = {"id": "A-1", "modified": "2026-01-02T00:00:00Z", "affected": [LISTED], **more}
    return AdvisoryIndex(build_index([record], "here"))


@pytest.mark.parametrize(
    ("more", "rule_id", "verdict"),
    [
        ({}, "SR-PKG-006", Verdict.REVIEW),
        ({"database_specific": {"severity": "CRITICAL"}}, "SR-PKG-005", Verdict.REVIEW),
        ({"database_specific": {"severity": "HIGH"}}, "SR-PKG-005", Verdict.REVIEW),
        ({"database_specific": {"severity": "LOW"}}, "SR-PKG-007", Verdict.CLEAN),
        ({"id": "MAL-1"}, "SR-PKG-004", Verdict.MALICIOUS),
    ],
)
def test_known_vulnerabilities(more: dict[str, object], rule_id: str, verdict: Verdict) -> None:
    files = {"requirements.txt": b"demo==1.0\nother==1.0\n"}
    report = look(files, advisories=advisories(**more), today=date(2026, 1, 12))
    assert [finding.rule_id for finding in report.findings] == [rule_id]
    assert report.verdict is verdict
    check = report.checks[0]
    assert (check.name, check.state) == ("vulnerabilities", "checked")
    assert check.says == "1 of 2 packages, by 1 advisories of 2026-01-02, 10 days old"


def test_old_advisories_are_called_old() -> None:
    files = {"requirements.txt": b"demo==2.0\n"}
    (check, *_) = look(files, advisories=advisories(), today=date(2026, 6, 1)).checks
    assert check.says.endswith("150 days old: too old to rely on")


def test_without_advisories_nothing_is_called_checked() -> None:
    report = look({"requirements.txt": b"demo==1.0\n"}, why_no_advisories="none were given")
    assert report.findings == ()
    assert (report.checks[0].state, report.checks[0].says) == ("not checked", "none were given")
    said = report.to_sarif("1.0.0")["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]
    assert said["level"] == "warning"
    assert "not checked" in said["message"]["text"]


def test_one_requirement_is_told_once() -> None:
    conda = b"channels: [conda-forge]\ndependencies:\n- pip:\n  - demo==1.0\n"
    files = {"conda.yaml": conda, "requirements.txt": b"demo==1.0\n"}
    assert len(look(files, advisories=advisories()).findings) == 1


def test_more_vulnerabilities_than_one_reads() -> None:
    records = [{"id": f"A-{n}", "affected": [LISTED]} for n in range(60)]
    index = AdvisoryIndex(build_index(records, "here"))
    report = look({"requirements.txt": b"demo==1.0\n"}, advisories=index)
    assert len(report.findings) == 26
    assert "35 more" in report.findings[-1].says


def test_a_damaged_index_is_no_pass() -> None:
    data = bytearray(build_index([{"id": "A-1", "affected": [LISTED]}], "here"))
    data[-5] ^= 255
    report = look({"requirements.txt": b"demo==1.0\n"}, advisories=AdvisoryIndex(bytes(data)))
    assert report.checks[0].state == "not checked"


def test_licences() -> None:
    metadata = b"Metadata-Version: 2.4\nName: demo\nLicense-Expression: AGPL-3.0-only\n"
    files = {
        "wheels/demo.dist-info/METADATA": metadata,
        "zz/requirements.txt": b"demo==1.0\nother==1.0\nthird==1\n",
    }
    installed = {"other": "MIT"}
    given = {"installed_licence": lambda name: installed.get(name, "")}
    report = look(files, licences=policy("MIT"), **given)
    assert [(f.rule_id, f.subject) for f in report.findings] == [
        ("SR-PKG-008", "AGPL-3.0-only"),
        ("SR-PKG-009", "third"),
    ]
    assert report.checks[1].says == "2 of 3 known; not known: third"
    assert look(files, **given).findings == ()
    assert look(files, **given).checks[1].state == "not checked"


# ---- hostile ----


def test_progress_is_told_of_each_file() -> None:
    told: list[tuple[int, int, str]] = []
    given = [(f"{n}.txt", lambda: io.BytesIO(b"x\n")) for n in range(3)]
    scan_files(given, progress=lambda *now: told.append(now))
    assert told == [(0, 3, "0.txt"), (1, 3, "1.txt"), (2, 3, "2.txt")]


def test_mutated_bytes_never_break_the_look() -> None:
    """Whatever a finder raises or a file holds becomes a finding, never an exception."""
    draw = random.Random(3)  # noqa: S311 # not for keys
    seeds = [pickle.dumps({"password": "x" * 20, "people": PEOPLE}), b"demo==1.0\n-e .\n",
             b"channels: [a]\ndependencies: [b=1]\n"]  # fmt: skip
    for number in range(300):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        name = draw.choice(["m.pkl", "requirements.txt", "conda.yaml", "METADATA", "x.csv"])
        report = look({name: bytes(data[: draw.randint(1, len(data))])}, advisories=advisories())
        assert report.files, number


def test_a_finder_that_fails_blocks() -> None:
    def fails(text: str) -> Iterator[Spotted]:
        raise RuntimeError(text)

    given = [("a.txt", lambda: io.BytesIO(b"write to me@example.org\n"))]
    report = scan_files(given, knowledge=Knowledge(spot_personal=fails))
    assert rules(report) == {"SR-FMT-004"}


@pytest.mark.parametrize(
    ("count", "words"),
    [(7, "7 bytes"), (1_500, "1.5 kB"), (2_000_000, "2.0 MB"), (10**10, "10.0 GB")],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert sized(count) == words
