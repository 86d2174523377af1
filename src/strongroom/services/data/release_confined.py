"""The part of making a release that runs inside the sandbox: anonymize, count again, compare.

Called by `release_making`, never in the server. The rows come in requests and leave in answers, so
that they touch no disk. What leaves beside them is the trace: for each source row a keyed digest of
the row, of whom it is about and of its sensitive values, and the group in which it is shown.
"""

import io
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.anonymize.coding import texts_of
from strongroom.engines.privacy.anonymize.composition import Composition, Trace, composed
from strongroom.engines.privacy.anonymize.hierarchy import Codes
from strongroom.engines.privacy.anonymize.recipe import Recipe, parse_recipe
from strongroom.engines.privacy.anonymize.running import Outcome, anonymize
from strongroom.errors import StrongroomError
from strongroom.services.data.pieces import pieces

VALUE = "value:"
"""What the names of value columns begin with in a trace."""

Answer = tuple[dict[str, object], bytes]
Handle = Callable[[dict[str, Any], bytes], Answer]


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin a release; each call of what is returned does one step.

    Args:
        argument: `recipe` (TOML), `seconds` of the search at most, `subject` column or empty, `key`
            of the digests (hex), and `formers`, the recipes of former releases in order.
    """
    return _Making(argument).answer


class _Making:
    """The steps: `source` and `former` bring pieces, `make` works, `rows` and `trace` give them."""

    def __init__(self, argument: dict[str, Any]) -> None:
        recipe = parse_recipe(str(argument["recipe"]))
        most = float(argument["seconds"])
        method = replace(recipe.method, seconds=min(recipe.method.seconds or most, most))
        self._recipe = replace(recipe, method=method)
        self._subject = str(argument["subject"])
        self._key = bytes.fromhex(str(argument["key"]))
        self._formers = [parse_recipe(str(text)) for text in argument["formers"]]
        self._source = io.BytesIO()
        self._traces = [io.BytesIO() for _ in self._formers]
        self._out: dict[str, Iterator[bytes]] = {}

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "source":
                self._source.write(body)
                return {}, b""
            case "former":
                self._traces[int(head["at"])].write(body)
                return {}, b""
            case "make":
                try:
                    return self._make(), b""
                except StrongroomError as error:
                    return {"failed": error.message, "next_step": error.next_step}, b""
            case what:
                piece = next(self._out[str(what)], b"")
                return {"end": not piece}, piece

    def _make(self) -> dict[str, object]:
        table = _read(self._source)
        outcome = anonymize(table, self._recipe, draw=os.urandom)
        own = traced(table, outcome, self._subject, self._key)
        formers = [
            _trace(_read(stream), recipe)
            for stream, recipe in zip(self._traces, self._formers, strict=True)
        ]
        together = composed([*formers, own])
        # Which of the former ones alone would do: the person who reads the refusal wants to know.
        culprits = [
            at for at, former in enumerate(formers)
            if together.breaches and composed([former, own]).breaches
        ]  # fmt: skip
        self._out = {"rows": pieces(outcome.table), "trace": pieces(_trace_table(own))}
        return {
            **_summary(outcome),
            "composition": _plain(together),
            "alone": not composed([own]).breaches,
            "culprits": culprits,
        }


def traced(table: pa.Table, outcome: Outcome, subject: str, key: bytes) -> Trace:
    """What a release shows of each row of its source.

    A row is known again in another version by its person and its place among that person's rows;
    without a subject column by all that is in it, and is then a person of its own.
    """
    rows, people = _identities(table, subject, key)
    values = {}
    for name in outcome.coded.sensitive:
        texts = texts_of(name, table.column(name))
        digests = [_digest(key, b"value", f"{name}\0{text}") for text in texts.values]
        values[name] = np.array(digests, dtype=np.int64)[texts.codes]
    return Trace(rows, people, outcome.group, values, outcome.recipe.demands)


def _identities(table: pa.Table, subject: str, key: bytes) -> tuple[Codes, Codes]:
    rows = np.zeros(table.num_rows, dtype=np.int64)
    people = np.zeros(table.num_rows, dtype=np.int64)
    met: Counter[int] = Counter()
    at = 0
    for batch in table.to_batches(max_chunksize=1 << 16):
        whole = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        named = batch.column(subject).to_pylist() if subject else [None] * batch.num_rows
        for content, whom in zip(whole, named, strict=True):
            # A row that names nobody is known by all that is in it.
            known = _digest(key, b"known", repr(content) if whom is None else f"\0{_name(whom)}")
            met[known] += 1
            rows[at] = _digest(key, b"row", f"{met[known]} {known}")
            people[at] = rows[at] if whom is None else known
            at += 1
    return rows, people


def _name(whom: object) -> str:
    """Whom a subject column names, whatever type the column has in this version.

    One key of another kind, and a file's numbers are texts: the same people must not seem others.
    """
    if isinstance(whom, float | Decimal) and whom == whom // 1:
        whom = int(whom)
    text = unicodedata.normalize("NFC", str(whom)).strip()
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text


def _digest(key: bytes, kind: bytes, text: str) -> int:
    found = blake2b(text.encode("utf-8", "surrogatepass"), key=key, person=kind, digest_size=8)
    return int.from_bytes(found.digest(), "big", signed=True)


def _summary(outcome: Outcome) -> dict[str, object]:
    proof, found = outcome.proof, outcome.found
    levels = {}
    if found is not None and found.node is not None:
        levels = dict(zip(outcome.coded.names, found.node, strict=True))
    demands = {
        name: getattr(value, "value", value)
        for name, value in asdict(outcome.recipe.demands).items()
    }
    return {
        "proof": {
            "promised": demands,
            "rows": proof.rows,
            "groups": proof.groups,
            "smallest": proof.smallest,
            "measured": {name: float(value) for name, value in proof.measured.items()},
            "levels": levels,
            "loss": None if found is None else float(found.loss),
            "bound": None if found is None else float(found.bound),
            "highest_risk": 1 / proof.smallest,
            "average_risk": proof.groups / proof.rows,
            "columns": {n: one.role.value for n, one in outcome.recipe.columns.items()},
        },
        "suppressed": outcome.suppressed,
    }


def _plain(found: Composition) -> dict[str, object]:
    return {
        "people": found.people,
        "cells": found.cells,
        "smallest": found.smallest,
        "breaches": [asdict(one) for one in found.breaches],
    }


# ---- pieces ----


def _read(stream: io.BytesIO) -> pa.Table:
    stream.seek(0)
    return pa.ipc.open_stream(stream).read_all()


def _trace(table: pa.Table, recipe: Recipe) -> Trace:
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    values = {name.removeprefix(VALUE): codes for name, codes in columns.items()
              if name.startswith(VALUE)}  # fmt: skip
    return Trace(columns["row"], columns["person"], columns["group"], values, recipe.demands)


def _trace_table(trace: Trace) -> pa.Table:
    values = {f"{VALUE}{name}": codes for name, codes in trace.values.items()}
    return pa.table(
        {"row": trace.rows, "person": trace.people, "group": trace.group, **values}
    )  # fmt: skip
