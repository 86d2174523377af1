"""What stands between an attack and a model behind an address: certificates, and its guard."""

import httpx
import numpy as np
import pytest

from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import GuardRefusedError, UnreachableError
from strongroom.faces.cli.attack_address import Address, Asked

SPACE = Space([Feature("age", 18.0, 90.0)])
POINTS = SPACE.encode({"age": np.array([70.0])})


def ask(answer: httpx.Response | Exception) -> None:
    def answered(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(answered)
    with Asked("https://there.example/score", Address(), transport=transport) as model:
        model.predict(SPACE, ("no", "yes"))(POINTS)


def test_a_guard_that_keeps_answers_back_is_told_with_what_to_do() -> None:
    kept = httpx.Response(
        422, headers={"X-Strongroom-Code": "refused.guard"}, json={"error": "age 70 is odd"}
    )
    with pytest.raises(GuardRefusedError, match="let it only observe") as raised:
        ask(kept)
    assert "set-guard" in raised.value.next_step
    assert "70" not in raised.value.message


def test_a_certificate_that_nobody_trusts_is_told_from_a_server_that_is_not_there() -> None:
    refused = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    with pytest.raises(UnreachableError, match="is not trusted") as raised:
        ask(refused)
    assert "--ca" in raised.value.next_step
    with pytest.raises(UnreachableError, match="could not be asked") as raised:
        ask(httpx.ConnectError("refused"))
    assert "address" in raised.value.next_step
