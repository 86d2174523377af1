"""A model behind an address, asked as any caller asks it: three protocols, patience, and limits."""

import ipaddress
import ssl
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from strongroom.engines.robustness.leakage.words import Columns, Said
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import ModelError, Predict, Rows, Scores
from strongroom.errors import (
    GuardRefusedError,
    RateLimitedError,
    RefusedError,
    SignInError,
    UnreachableError,
    UsageError,
    ValidationError,
)
from strongroom.faces.client.profiles import secret_from_file
from strongroom.faces.closing import Closing

PROTOCOLS = {"infer": "Open Inference", "invocations": "MLflow", "score": "plain"}
"""Last word of an address → the protocol it speaks."""
MAX_ANSWER_BYTES = 64 << 20
MAX_HEARD_BYTES = 1 << 20
"""Of an answer that is looked at for what it tells."""
MAX_KEY_CHARACTERS = 16_384
_WAITS = 20
_LONGEST_WAIT = 65.0


@dataclass(frozen=True, slots=True)
class Address:
    """How an address is asked.

    Attributes:
        key_file: holds the key that goes out as `Authorization: Bearer`.
        ca: certificate authority to trust; None: those of the system.
        rows_each: in one request.
    """

    key_file: Path | None = None
    ca: Path | None = None
    rows_each: int = 100


class Asked(Closing):
    """A connection to a model behind an address, until it is closed."""

    def __init__(
        self,
        address: str,
        how: Address,
        *,
        wait: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            address: ends in `/infer`, `/invocations` or `/score`.
            wait: seconds, when the server asks for patience.
            transport: in place of the network.
        Raises: UsageError: another protocol, or a key that would go out in clear.
        """
        parts = urllib.parse.urlsplit(address)
        self._protocol = parts.path.rstrip("/").rpartition("/")[2]
        if self._protocol not in PROTOCOLS or not parts.hostname or parts.username:
            raise UsageError(
                "the address of a model ends in /infer, /invocations or /score",
                next_step="give it as https://host/endpoints/WORKSPACE/ENDPOINT/score",
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise UsageError("over plain http rows and key could be read on the way: use https")
        self._address = address
        self._rows_each = how.rows_each
        self._wait = wait
        self._has_answered = False
        headers = {"content-type": "application/json"}
        if how.key_file is not None:
            headers["authorization"] = f"Bearer {_key(how.key_file)}"
        self._http = httpx.Client(
            headers=headers, timeout=120.0, follow_redirects=False, trust_env=False,
            verify=_trust(how.ca), transport=transport,
        )  # fmt: skip

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def predict(self, space: Space, classes: Sequence[str]) -> Predict:
        """How it answers points of a space; an answer without probabilities becomes a bare label.

        Args:
            classes: in the order of the scores; empty for a regression.
        """

        def ask(rows: Rows) -> Scores:
            pieces = [
                self._scores(space, rows[at : at + self._rows_each], classes)
                for at in range(0, len(rows), self._rows_each)
            ]
            return np.concatenate(pieces) if pieces else np.empty((0, len(classes) or 1))

        return ask

    def said(self, columns: Columns) -> Said:
        """Whatever it says to a question; of status 0 where it closes the connection instead.

        Raises: RateLimitedError: it asks for patience without end.
        """
        rows = max((len(values) for values in columns.values()), default=0)
        body = msgspec.json.encode(_question(self._protocol, columns, rows))
        for _ in range(_WAITS):
            try:
                status, headers, content = self._exchanged(body)
            except UnreachableError:
                return Said(0, "")
            if status != 429:
                return Said(status, content[:MAX_HEARD_BYTES].decode("utf-8", "replace"), headers)
            self._wait(min(_seconds(headers.get("retry-after", "")), _LONGEST_WAIT))
        raise _too_slow()

    def _exchanged(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            with self._http.stream("POST", self._address, content=body) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return answer.status_code, headers, _read(answer)
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UnreachableError(
                    "the certificate of the model's server is not trusted",
                    next_step="give its certificate authority with --ca",
                ) from None
            raise UnreachableError(
                f"the model could not be asked: {type(error).__name__}",
                next_step="start its server, or check the address",
            ) from None

    def _scores(self, space: Space, rows: Rows, classes: Sequence[str]) -> Scores:
        columns = {name: values.tolist() for name, values in space.decode(rows).items()}
        answer = self._post(_question(self._protocol, columns, len(rows)))
        labels, probabilities, order = _answered(self._protocol, answer)
        if not classes:
            return np.asarray(_numbers(labels), dtype=np.float64).reshape(len(rows), 1)
        scores = np.zeros((len(rows), len(classes)))
        places = {_bare(name): place for place, name in enumerate(classes)}
        if probabilities is None:
            for row, label in enumerate(labels):
                scores[row, _place(places, label)] = 1.0
            return scores
        found = np.asarray(probabilities, dtype=np.float64).reshape(len(rows), -1)
        known = order if order and len(order) == found.shape[1] else classes
        if len(known) != found.shape[1]:
            raise ValidationError(
                f"the answer has {found.shape[1]} probabilities a row for {len(classes)} classes"
            )
        scores[:, [_place(places, name) for name in known]] = found
        return scores

    def _post(self, question: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.json.encode(question)
        for _ in range(_WAITS):
            status, headers, content = self._exchanged(body)
            if status == 200:
                self._has_answered = True
                return _decoded(content)
            if status != 429:
                # Later errors stand in reports, and a server may quote the row that it was asked.
                if headers.get("x-strongroom-code") == GuardRefusedError.code:
                    raise _kept_back()
                raise _refusal(status, b"" if self._has_answered else content)
            self._wait(min(_seconds(headers.get("retry-after", "")), _LONGEST_WAIT))
        raise _too_slow()


def _too_slow() -> RateLimitedError:
    return RateLimitedError(
        "the endpoint's limit leaves too few rows for the attack: it does its work",
        retry_after_seconds=_LONGEST_WAIT,
    )


def _kept_back() -> GuardRefusedError:
    return GuardRefusedError(
        "the guard of the endpoint keeps answers back: let it only observe meanwhile",
        next_step="an Owner does so: `strongroom endpoint set-guard ENDPOINT --mode observe`",
    )


def _question(protocol: str, columns: Columns, rows: int) -> dict[str, Any]:
    names = list(columns)
    if protocol == "infer":
        return {
            "inputs": [
                {
                    "name": name, "shape": [rows, 1], "data": values,
                    "datatype": "BYTES" if isinstance(values[0], str) else "FP64",
                }
                for name, values in columns.items()
            ]
        }  # fmt: skip
    # Of columns that do not fit, the shorter ones end early: such a question is one on purpose.
    records = [list(row) for row in zip_longest(*columns.values())]
    if protocol == "invocations":
        return {"dataframe_split": {"columns": names, "data": records}}
    return {"records": [dict(zip(names, row, strict=True)) for row in records]}


def _answered(
    protocol: str, answer: dict[str, Any]
) -> tuple[list[Any], list[Any] | None, list[str] | None]:
    """Labels, probabilities and the order of their classes, as far as the answer has them."""
    try:
        if protocol == "infer":
            outputs = {one["name"]: one["data"] for one in answer["outputs"]}
            probabilities = outputs.get("probabilities")
            labels = outputs.get("label")
            if labels is None:
                labels = answer["outputs"][0]["data"]
            return list(labels), probabilities, None
        found = answer["predictions"]
        if found and isinstance(found[0], list):
            return [], found, None
        return list(found), answer.get("probabilities"), answer.get("classes")
    except (KeyError, TypeError, IndexError):
        raise ValidationError(
            f"the answer is not one of the {PROTOCOLS[protocol]} protocol"
        ) from None


def _place(places: dict[str, int], name: object) -> int:
    try:
        return places[_bare(str(name))]
    except KeyError:
        raise ValidationError(
            "the model answers with a class that the label column does not have"
        ) from None


def _bare(name: str) -> str:
    return name.removesuffix(".0")


def _numbers(labels: list[Any]) -> list[float]:
    if not all(type(one) in {int, float} for one in labels):
        raise ValidationError("the model answers with classes; say with --label which column")
    return labels


def _read(answer: httpx.Response) -> bytes:
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise ValidationError(f"an answer has more than {MAX_ANSWER_BYTES:,} bytes")
    return bytes(content)


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValidationError("the model's answer is no JSON object") from None


def _refusal(status: int, content: bytes) -> Exception:
    if status >= 500:
        return ModelError(ModelError.SERVER)
    try:
        said = str(msgspec.json.decode(content, type=dict[str, Any]).get("error", ""))[:300]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = ""
    text = f"the model's server answered {status}" + (f": {said}" if said else "")
    if status == 401:
        return SignInError(text, next_step="give a key with --key-file")
    return RefusedError(text) if status == 403 else ValidationError(text)


def _seconds(text: str) -> float:
    return max(float(text), 1.0) if text.isdigit() else 5.0


def _key(path: Path) -> str:
    key = secret_from_file(str(path))
    if not key or len(key) > MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise UsageError(f"`{path}` holds no key")
    return key


def _trust(ca: Path | None) -> ssl.SSLContext | bool:
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise UsageError(f"`{ca}` is no certificate authority that can be read") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
