"""Loads files that carry code as the server loads models; runs in the sandbox (`carriers`)."""

import sys
from pathlib import Path
from typing import Any

from strongroom.services.models import confined_conversion


def load_all(argument: dict[str, Any], folder: Path) -> dict[str, Any]:
    """In the sandbox: convert each as a registration does, and say what happened."""
    found: dict[str, Any] = {}
    for case in argument["cases"]:
        place = folder / "in" / case
        (place / "out").mkdir()
        sys.code_ran = []  # type: ignore[attr-defined] # where the programs note what they did
        try:
            about = confined_conversion.convert({}, place)
            loaded = "no loader" if about["kind"] == "other" else "loaded"
            if about["kind"] == "additive" and about["reason"]:
                loaded = "refused"
        except BaseException:  # noqa: BLE001 # whatever a file brings about
            loaded = "an error"
        ran: list[dict[str, bool]] = sys.code_ran  # type: ignore[attr-defined] # as above
        found[case] = {"loaded": loaded, "ran": ran[0] if ran else None}
    return found
