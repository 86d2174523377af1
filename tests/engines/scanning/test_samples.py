"""Models that other libraries wrote: not one false alarm, and a finding wherever they break off."""

import pytest
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import rules, scan, scan_folder

from strongroom.engines.scanning.findings import Verdict

FORMATS = {
    "bzip2.7z": "7z",
    "catboost.cbm": "catboost",
    "catboost.pkl": "pickle",
    "dense.h5": "hdf5",
    "keras.h5": "keras-h5",
    "lightgbm.model": "lightgbm",
    "lightgbm.pkl": "pickle",
    "lz4.joblib": "joblib+lz4",
    "lzma.7z": "7z",
    "model.gguf": "gguf",
    "model.keras": "keras",
    "model.tflite": "tflite",
    "old.h5": "hdf5",
    "saved_model.pb": "saved-model",
    "x86_lzma2.7z": "7z",
    "xgboost.json": "text",
    "xgboost.pkl": "pickle",
    "xgboost.ubj": "xgboost",
}
DATA_ONLY = {"catboost", "hdf5", "keras-h5", "lightgbm", "gguf", "keras", "tflite", "saved-model",
             "text", "xgboost"}  # fmt: skip
# Half of a text is a text.
MAY_BE_CUT = {"xgboost.json", "lightgbm.model"}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_honest_files(name: str) -> None:
    report = scan(samples()[name], name)
    assert (report.verdict, report.findings) == (Verdict.CLEAN, ())
    assert report.files[0].format == FORMATS[name]
    assert report.data_only is (FORMATS[name] in DATA_ONLY)


def test_every_sample_is_looked_at() -> None:
    assert sorted(FORMATS) == sorted(samples())


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - MAY_BE_CUT))
def test_broken_off_files(name: str) -> None:
    whole = samples()[name]
    for part in (0.3, 0.6, 0.9, 0.99):
        report = scan(whole[: int(part * len(whole))], name)
        assert report.verdict in {Verdict.UNREADABLE, Verdict.MALICIOUS}, (part, report.findings)


def test_trees_without_their_end() -> None:
    whole = samples()["lightgbm.model"]
    report = scan(whole[: whole.index(b"end of trees")])
    assert rules(report) == {"SR-TRE-001"}
    assert report.verdict is Verdict.UNREADABLE


def test_content_decides_not_the_name() -> None:
    for name in ("keras.h5", "model.tflite", "saved_model.pb", "xgboost.ubj", "lzma.7z"):
        assert scan(samples()[name], "notes").files[0].format == FORMATS[name]


def test_folder_of_a_saved_model() -> None:
    folder = {
        "saved_model.pb": samples()["saved_model.pb"],
        "fingerprint.pb": b"\x08\xff\xfe\x01",
        "variables/variables.index": b"\x00\x00\x0a\x08\x01\x1a\x02\x08\xff",
        "variables/variables.data-00000-of-00001": bytes(range(128, 256)),
    }
    report = scan_folder(folder)
    assert report.verdict is Verdict.CLEAN, report.findings
    del folder["saved_model.pb"]
    assert rules(scan_folder(folder)) == {"SR-FMT-001"}
