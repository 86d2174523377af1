"""MLflow folders: loaders, code and paths; their requirements are in test_requirements.py."""

import pickle

import pytest
import yaml
from tests.engines.scanning.scan_bytes import rules, scan_folder

from strongroom.engines.scanning.findings import Report, Verdict

FLAVORS = {
    "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"},
    "sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle", "code": None},
}


def folder(
    flavors: dict[str, object] | None = None, more: dict[str, bytes] | None = None
) -> Report:
    files = {
        "MLmodel": yaml.safe_dump({"flavors": {**FLAVORS, **(flavors or {})}}).encode(),
        "model.pkl": pickle.dumps([1]),
        **(more or {}),
    }
    return scan_folder(files)


def test_an_honest_folder() -> None:
    assert folder().findings == ()


@pytest.mark.parametrize(
    ("flavors", "rule_id", "verdict"),
    [
        ({"python_function": {"loader_module": "evil"}}, "SR-MLF-001", Verdict.REVIEW),
        ({"python_function": {"loader_module": ["x"]}}, "SR-MLF-001", Verdict.REVIEW),
        (
            {"python_function": {"loader_module": "mlflow.pyfunc.model"}},
            "SR-MLF-002",
            Verdict.REVIEW,
        ),
        ({"langchain": {"x": 1}}, "SR-MLF-001", Verdict.REVIEW),
        ({"sklearn": {"code": "code"}}, "SR-MLF-002", Verdict.REVIEW),
        ({"sklearn": {"pickled_model": "../../m.pkl"}}, "SR-MLF-003", Verdict.MALICIOUS),
        ({"sklearn": {"pickled_model": "/tmp/m.pkl"}}, "SR-MLF-003", Verdict.MALICIOUS),
        ({"sklearn": {"x": {"deep": ["file:///etc/passwd"]}}}, "SR-MLF-003", Verdict.MALICIOUS),
        ({"onnx": {"data": "s3://bucket/x.onnx"}}, "SR-MLF-003", Verdict.MALICIOUS),
        ({"sklearn": {"skops_trusted_types": ["os.system"]}}, "SR-PKL-001", Verdict.MALICIOUS),
        ({"sklearn": {"skops_trusted_types": ["clinic.Model"]}}, "SR-SKP-001", Verdict.REVIEW),
    ],
)
def test_folders_that_reach_out(flavors: dict[str, object], rule_id: str, verdict: Verdict) -> None:
    report = folder(flavors)
    assert rule_id in rules(report), report.findings
    assert report.verdict is verdict


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"flavors: {", b"flavors: 3", b"a: &a [*a]", b"\xff\xfe", b"!!python/x 1"]
)
def test_mlmodel_that_cannot_be_read(data: bytes) -> None:
    report = scan_folder({"MLmodel": data})
    assert report.verdict is not Verdict.CLEAN
    assert "SR-MLF-005" in rules(report)


def test_aliases_cost_nothing() -> None:
    lines = ["flavors:", "  sklearn:", "    a0: &a0 [x]"]
    lines += [f"    a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert scan_folder({"MLmodel": "\n".join(lines).encode()}).verdict is Verdict.CLEAN


def test_what_is_loaded_as_a_pickle_must_be_one() -> None:
    for data in (b"hello\n", b'{"a": 1}', b"\x93NUMPY"):
        report = scan_folder({"MLmodel": yaml.safe_dump({"flavors": FLAVORS}).encode(),
                              "model.pkl": data})  # fmt: skip
        assert "SR-PKL-010" in rules(report)
