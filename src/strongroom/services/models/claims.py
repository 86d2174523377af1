"""What a model claims of the privacy of its training: an attack holds it to that."""

import json
from collections.abc import Mapping
from typing import Any

from strongroom.engines.privacy.dp.training.running import RECORD_NAME

MAX_RECORD_BYTES = 1 << 20


def claimed_privacy(facts: Mapping[str, Any], files: Mapping[str, bytes] = {}) -> dict[str, float]:
    """Epsilon and delta that a model claims; empty where it claims none.

    What this server wrote into its provenance counts first, then the record that `strongroom train`
    leaves beside a model. A claim that cannot be read claims nothing.

    Args:
        files: of the model, by name.
    """
    parameters = facts.get("parameters")
    if isinstance(parameters, Mapping) and "privacy.epsilon" in parameters:
        return _claim({name: parameters.get(f"privacy.{name}", 0) for name in ("epsilon", "delta")})
    for name, content in files.items():
        if name.rsplit("/", 1)[-1] == RECORD_NAME and len(content) <= MAX_RECORD_BYTES:
            try:
                record = json.loads(content)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, Mapping) and "epsilon" in record:
                return _claim(record)
    return {}


def _claim(record: Mapping[str, Any]) -> dict[str, float]:
    try:
        return {name: float(str(record.get(name, 0))) for name in ("epsilon", "delta")}
    except ValueError:
        return {}
