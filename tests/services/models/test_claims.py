"""Claims of privacy: read from what this server wrote, else from the record beside a model."""

import json
from typing import Any

import pytest

from strongroom.services.models.claims import MAX_RECORD_BYTES, claimed_privacy

RECORD = json.dumps({"method": "boosting", "epsilon": 2.0, "delta": 1e-6}).encode()


def test_a_claim_is_read_from_the_record_of_a_training() -> None:
    found = {"epsilon": 2.0, "delta": 1e-6}
    assert claimed_privacy({}, {"model.onnx": b"", "privacy.json": RECORD}) == found
    assert claimed_privacy({}, {"data/model/privacy.json": RECORD}) == found
    assert claimed_privacy({}, {"my-privacy.json": RECORD}) == {}


def test_what_this_server_wrote_counts_first() -> None:
    facts: dict[str, Any] = {"parameters": {"privacy.epsilon": "0.5", "privacy.delta": "1e-7"}}
    assert claimed_privacy(facts, {"privacy.json": RECORD}) == {"epsilon": 0.5, "delta": 1e-7}
    assert claimed_privacy({"parameters": {"depth": "3"}}) == {}
    assert claimed_privacy({"parameters": {"privacy.epsilon": "much"}}) == {}


@pytest.mark.parametrize(
    "record",
    [b"", b"[]", b"{}", b'{"epsilon": "much"}', b"[" * 100_000, b"\xff\xfe",
     RECORD + b" " * MAX_RECORD_BYTES],
    ids=["empty", "list", "no claim", "no number", "deep", "no text", "too long"],
)  # fmt: skip
def test_what_cannot_be_read_claims_nothing(record: bytes) -> None:
    assert claimed_privacy({}, {"privacy.json": record}) == {}
