"""SavedModels and TensorFlow Lite: graphs that do more than compute."""

import pytest
from tests.engines.scanning.made_files import (
    flatbuffer,
    function,
    message,
    node,
    saved_model,
    text_constant,
    tflite,
)
from tests.engines.scanning.scan_bytes import (
    assert_clean,
    assert_malicious,
    rules,
    scan,
    scan_folder,
)

from strongroom.engines.scanning.findings import Verdict


@pytest.mark.parametrize(
    "operator",
    [
        "ReadFile", "WriteFile", "MatchingFiles", "TextLineDataset", "TFRecordDataset",
        "LMDBReader", "SqlDataset", "Save", "Restore", "SnapshotDatasetV2", "CacheDatasetV2",
        "DebugIdentityV2", "InitializeTableFromTextFileV2", "CreateSummaryFileWriter",
        "LoadDataset", "SaveDatasetV2", "FixedLengthRecordDatasetV2", "RecordInput",
        "DataServiceDatasetV4", "RpcCall",
    ],
)  # fmt: skip
def test_operators_that_reach_out(operator: str) -> None:
    assert_malicious(saved_model(node("Add"), node(operator)), "SR-TFM-001", "saved_model.pb")
    inside = saved_model(node("Add"), functions=[function("f", node(operator))])
    assert_malicious(inside, "SR-TFM-001")
    assert_malicious(tflite(f"Flex{operator}"), "SR-TFM-001", "model.tflite")


def test_printing_into_a_file() -> None:
    quiet = node("PrintV2", output_stream=message((2, "stderr")))
    assert_clean(saved_model(quiet))
    loud = node("PrintV2", output_stream=message((2, "file:///tmp/x")))
    assert_malicious(saved_model(loud), "SR-TFM-001")


def test_the_saver_is_no_attack_but_a_path_of_its_own_is() -> None:
    saver = function("save", text_constant("^s3://.*"), text_constant("_temp/part"), node("SaveV2"))
    assert_clean(saved_model(node("Add"), functions=[saver]))
    fixed = function("save", text_constant("/etc/cron.d/x"), node("SaveV2"))
    assert_malicious(saved_model(functions=[fixed]), "SR-TFM-001")
    call = node("StatefulPartitionedCall", f=message((10, message((1, "save")))))
    served = function("serve", call)
    assert_malicious(saved_model(functions=[saver, served]), "SR-TFM-001")


def test_tables_from_assets() -> None:
    table = node("InitializeTableFromTextFileV2")
    assert_clean(saved_model(table, assets=["vocabulary.txt"]))
    assert_malicious(saved_model(table, assets=["../../etc/passwd"]), "SR-TFM-004")


@pytest.mark.parametrize("operator", ["PyFunc", "EagerPyFunc", "PyFuncStateless"])
def test_python_functions(operator: str) -> None:
    for data in (saved_model(node(operator)), tflite(f"Flex{operator}")):
        report = scan(data)
        assert (rules(report), report.verdict) == ({"SR-TFM-002"}, Verdict.REVIEW)


def test_operators_of_a_library() -> None:
    for data in (saved_model(node("EvilOp")), tflite("EvilOp"), tflite("FlexEvilOp"), tflite("")):
        report = scan(data)
        assert (rules(report), report.verdict) == ({"SR-TFM-003"}, Verdict.REVIEW)
    assert_clean(tflite("FlexErf", "FlexAddV2"))


def test_keras_in_a_saved_model() -> None:
    config = '{"class_name": "Lambda", "config": {}}'
    assert_malicious(saved_model(node("Add"), metadata=config), "SR-KER-001")
    nodes = message((1, message((4, "_tf_keras_layer"), (5, config))))
    assert_malicious(nodes, "SR-KER-001", "keras_metadata.pb")
    assert rules(scan(nodes[:-3], "keras_metadata.pb")) == {"SR-TFM-005"}


def test_broken_models() -> None:
    whole = saved_model(node("Add"), functions=[function("f", node("Mul"))])
    for length in range(1, len(whole), 7):
        report = scan(whole[:length], "saved_model.pb")
        assert report.verdict is Verdict.UNREADABLE, length
    lite = tflite("FlexErf")
    for length in range(9, len(lite) - 8, 9):
        report = scan(lite[:length], "model.tflite")
        assert report.verdict in {Verdict.UNREADABLE, Verdict.REVIEW}, length
    assert rules(scan(flatbuffer({0: 3}))) == {"SR-TFM-005"}


def test_only_beside_its_model_are_variables_raw() -> None:
    files = {"saved_model.pb": saved_model(node("Add")), "variables/variables.index": b"\x00\xff"}
    assert scan_folder(files).verdict is Verdict.CLEAN
    assert scan_folder({"variables/variables.index": b"\x00\xff"}).verdict is Verdict.REVIEW
