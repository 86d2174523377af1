"""What a server says when it is asked well and when it is asked badly, as it says it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows

MARK = "zq7-mark"
"""Stands in what is asked; nobody says it by chance."""
MARKED_NUMBER = 918273645.125
TELLTALES = (
    "Traceback (most recent", 'File "/', "site-packages", "sklearn.", "numpy.", "pandas.", "torch.",
    "onnxruntime", "xgboost", "sqlalchemy", "psycopg", "sqlite3", "/home/", "/root/", "/usr/lib/",
    "/var/", "/opt/", "C:\\\\", "KeyError", "NoneType", "ValueError", "TypeError", "at java.",
    "object at 0x", "stack trace", "secret_key", "BEGIN PRIVATE KEY",
)  # fmt: skip
"""Of code, libraries, places on the machine and keys."""
EXPLAINS = re.compile(
    r"shap(?!e)|lime_|explain|explanation|contribut|attribut|importance|saliency|neighbo|counterfact|"
    r"leaf|logit|margin|raw_score|embedding|activation|debug|trace|internal",
    re.IGNORECASE,
)
"""In the name of a field: more than a prediction."""
_VERSION = re.compile(r"\d+\.\d+")
_DEEP = 60

Columns = Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, whatever it was.

    Attributes:
        status: of HTTP.
        text: the body, cut to what a report would ever look at.
        headers: their names in small letters.
    """

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


Speaks = Callable[[Columns], Said]


def good(space: Space, rows: Rows) -> Columns:
    """A question that is in order."""
    return {name: values.tolist() for name, values in space.decode(rows).items()}


def bad(space: Space, rows: Rows) -> Iterator[tuple[str, Columns]]:
    """Questions that a server should refuse, with a mark in each."""
    plain = dict(good(space, rows[:1]))
    first = next((one.name for one in space.features if not one.levels), space.features[0].name)
    deep: Any = MARK
    for _ in range(_DEEP):
        deep = [deep]
    for name, value in {
        "a text for a number": MARK, "a number nobody has": MARKED_NUMBER,
        "a long text": MARK * 500,
        "a list": [MARK, MARK], "deep lists": deep, "an object": {MARK: MARK},
        "a template": f"{{{{7*191}}}}{MARK}", "a quote": f"'\"`--{MARK}",
        "a path": f"../../../etc/{MARK}", "a format": f"%s%n{{0}}{MARK}",
    }.items():  # fmt: skip
        yield name, {**plain, first: [value]}
    yield "a column too many", {**plain, "one_more": [MARK]}
    yield "a column too few", {name: values for name, values in plain.items() if name != first}
    yield "columns of two lengths", {**plain, first: [MARKED_NUMBER, MARKED_NUMBER]}
    yield "no column of its own", {"one_more": [MARK]}
    for one in space.features:
        if one.levels:
            yield "an unknown category", {**plain, one.name: [MARK]}
            break


def quotes(said: Said) -> bool:
    """An error that says again what it was asked."""
    return said.status >= 400 and (MARK in said.text or f"{MARKED_NUMBER:.0f}"[:9] in said.text)


def tells(said: Said) -> str:
    """The first telltale in an answer; empty for none."""
    return next((one for one in TELLTALES if one in said.text), "")


def names_software(said: Said) -> bool:
    """A header that names a program and its version."""
    names = ("server", "x-powered-by", "x-aspnet-version", "via")
    return any(_VERSION.search(said.headers.get(name, "")) for name in names)


def explains(said: Said) -> list[str]:
    """Names of fields that hold more than a prediction."""
    try:
        found = json.loads(said.text)
    except (ValueError, RecursionError):
        return []
    return sorted({name for name in _names(found) if EXPLAINS.search(name)})[:20]


def _names(value: Any, depth: int = 0) -> Iterator[str]:  # noqa: ANN401 # JSON
    if depth > _DEEP:
        return
    if isinstance(value, dict):
        for name, one in value.items():
            yield str(name)[:100]
            if name == "name" and isinstance(one, str):  # of an output, in Open Inference
                yield one[:100]
            yield from _names(one, depth + 1)
    elif isinstance(value, list):
        for one in value[:100]:
            yield from _names(one, depth + 1)


def talkative(space: Space, rows: Rows) -> Speaks:
    """A server that says all it should not: the canary."""
    numbers = space.matrix(rows).tolist()

    def speak(columns: Columns) -> Said:
        text = json.dumps(dict(columns))
        if MARK in text or str(MARKED_NUMBER) in text or len(columns) != len(space.features):
            head = {"server": "gunicorn/1.2.3"}
            return Said(500, f'Traceback (most recent call last):\n File "/app.py"\n{text}', head)
        answer = {"predictions": [0], "shap_values": [0.1], "nearest": numbers}
        return Said(200, json.dumps(answer), {"server": "gunicorn/1.2.3"})

    return speak


def finite(rows: Rows) -> Rows:
    """The rows without a missing number."""
    return rows[np.isfinite(rows).all(axis=1)]
