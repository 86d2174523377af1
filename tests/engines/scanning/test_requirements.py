"""Requirements of a model: where they come from, odd names, versions left open."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from tests.engines.scanning.scan_bytes import rules, scan_folder

from strongroom.engines.scanning.findings import Report, Verdict
from strongroom.engines.scanning.lookalikes import resembles
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.requirements import (
    MAX_REQUIREMENTS,
    read_environment,
    read_requirements,
)


def folder(name: str, data: object) -> Report:
    text = data if isinstance(data, str) else yaml.safe_dump(data)
    return scan_folder({name: text.encode(), "notes.txt": b"hello\n"})


FOREIGN = {
    "git+https://example.com/x.git": "git repository",
    "x @ git+ssh://git@example.com/x.git@main": "git repository",
    "x @ https://example.com/x.whl": "an address",
    "https://example.com/x.whl": "an address",
    "-e .": "folder or repository",
    "--index-url https://example.com": "another index or folder",
    "--extra-index-url=https://example.com": "adds another index",
    "-i http://x": "another index or folder",
    "-ihttp://x": "another index or folder",
    "--find-links /tmp": "another index or folder",
    "--trusted-host example.com": "certificate is not checked",
    "-r other.txt": "another file",
    "./local": "folder or file",
    "x.whl": "folder or file",
    "C:\\x.whl": "folder or file",
    "file:///tmp/x": "an address",
    "x\\\n --index-url=https://example.com": "another index or folder",
    "--pre": "an option of the installer",
}


@pytest.mark.parametrize(("line", "words"), FOREIGN.items())
def test_requirements_from_elsewhere(line: str, words: str) -> None:
    report = folder("requirements.txt", f"numpy==1.26.4\n{line}\n")
    assert rules(report) == {"SR-MLF-004"}
    assert words in report.findings[0].says
    assert report.findings[0].offset == len("numpy==1.26.4\n")
    assert report.verdict is Verdict.REVIEW
    conda = {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": [line]}]}
    assert rules(folder("conda.yaml", conda)) == {"SR-MLF-004"}


def test_ordinary_requirements() -> None:
    lines = "numpy==2.4.6\nscikit-learn[x]==1.9.1 # note\n\n# c\n"
    lines += "pandas==3.0.0 ; python_version >= '3.9'\n"
    lines += "scipy==1.17.1 \\\n    --hash=sha256:aa --hash=sha256:bb\n--require-hashes\n"
    assert folder("requirements.txt", lines).findings == ()
    environment = {"python": "3.11", "build_dependencies": ["pip==23", "setuptools", "wheel"],
                   "dependencies": ["-r requirements.txt"]}  # fmt: skip
    assert folder("python_env.yaml", environment).findings == ()
    wanted = ["python=3.11", "pip<=23", "conda-forge::numpy=2.4.6=py311_0"]
    conda = {"channels": ["conda-forge"], "dependencies": wanted}
    assert folder("conda.yaml", conda).findings == ()


def test_versions_left_open_are_told_and_block_nothing() -> None:
    report = folder("requirements.txt", "numpy\npandas>=2\nscipy==1.*\nflask==3.1.0\n")
    assert [f.rule_id for f in report.findings] == ["SR-PKG-001"]
    assert report.findings[0].says.endswith("3 requirements to the day of installation: "
                                            "numpy, pandas, scipy")  # fmt: skip
    assert report.verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("spec", "version"),
    [("numpy=1.2", None), ("numpy==1.2", "1.2"), ("numpy=1.2=py_0", "1.2"), ("numpy>=1", None)],
)
def test_how_conda_pins(spec: str, version: str | None) -> None:
    found = read_environment(yaml.safe_dump({"channels": [], "dependencies": [spec]}).encode())
    assert [(w.name, w.version) for w in found.wanted] == [
        ("numpy", Version(version) if version else None)
    ]


@pytest.mark.parametrize(
    "entry", ["evil::numpy", "https://example.com/c::numpy", "git+https://example.com/x"]
)
def test_conda_from_elsewhere(entry: str) -> None:
    report = folder("conda.yaml", {"channels": ["defaults"], "dependencies": [entry]})
    assert rules(report) == {"SR-MLF-004"}


def test_a_foreign_channel_and_no_secret_in_the_report() -> None:
    conda = {"channels": ["https://user:hunter2@example.com/c"], "dependencies": []}
    report = folder("conda.yaml", conda)
    assert rules(report) == {"SR-MLF-004", "SR-SEC-001"}
    assert b"hunter2" not in report.to_bytes()
    report = folder(
        "requirements.txt", "--index-url https://u:s3cr3tpass@example.com/?token=abcdef\n"
    )
    assert b"s3cr3tpass" not in report.to_bytes()
    assert b"abcdef" not in report.to_bytes()


@pytest.mark.parametrize(
    "line", ["num py==1", "==1", "numpy==", "numpy;;", "a" * 5_000, "n\u0443mpy"]
)
def test_what_cannot_be_read_goes_to_a_person(line: str) -> None:
    report = folder("requirements.txt", f"{line}\n")
    assert rules(report) == {"SR-PKG-003"}
    assert report.verdict is Verdict.REVIEW


def test_letters_of_another_script() -> None:
    (finding,) = folder("requirements.txt", "sс\u0456p\u0443==1\n").findings  # noqa: RUF001 # meant
    assert "looks like `scipy`" in finding.says


@pytest.mark.parametrize("data", [b"a: [", b"- 1", b"\xff\xfe\x00", b"!!python/object:x {}"])
def test_environments_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_environment(data)
    report = scan_folder({"conda.yaml": data})
    assert "SR-MLF-005" in rules(report) or report.verdict is not Verdict.CLEAN


def test_more_requirements_than_any_model_has() -> None:
    found = read_requirements("numpy==1\n" * (MAX_REQUIREMENTS + 5))
    assert found.problems[-1].rule_id == "SR-PKG-003"
    assert len(found.wanted) == MAX_REQUIREMENTS


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("reqeusts", "requests"),
        ("numpyy", "numpy"),
        ("tensorfl0w", "tensorflow"),
        ("scikitlearn", "scikit-learn"),
        ("pytorch-", "torch"),
        ("matplotilb", "matplotlib"),
        ("\u0440andas", "pandas"),
        ("numpy\u200b", "numpy"),
        ("requests", ""),
        ("scikit-learn", ""),
        ("mlflow-skinny", ""),
        ("our-own-risk-model", ""),
        ("ab", ""),
        ("", ""),
        ("x" * 5_000, ""),
    ],
)
def test_names_that_deceive(name: str, known: str) -> None:
    assert resembles(name) == known


def test_a_name_that_deceives_is_told_and_blocks_nothing() -> None:
    report = folder("requirements.txt", "reqeusts==2.0\n")
    assert [f.rule_id for f in report.findings] == ["SR-PKG-002"]
    assert report.verdict is Verdict.CLEAN


@given(st.text(max_size=60), st.binary(max_size=200))
def test_no_text_breaks_the_reading(text: str, data: bytes) -> None:
    resembles(text)
    found = read_requirements(f"{text}\n{data.decode('latin-1')}")
    for problem in found.problems:
        assert len(problem.subject) <= 200
    for other in (text.encode("utf-8", "surrogatepass"), data):
        try:
            read_environment(b"dependencies: [" + other + b"]")
        except MalformedError:
            continue
