"""Tests of an assessment with their canaries: rows and secrets in files, words in answers."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.leakage import carried, words
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome
from strongroom.engines.robustness.sampling import uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows

ROWS, SECRETS, WORDS = "leakage.rows", "leakage.secrets", "leakage.words"
THREAT = 6
ATLAS: Mapping[str, tuple[str, ...]] = {
    ROWS: ("AML.T0024.000", "AML.T0035"),
    SECRETS: ("AML.T0055", "AML.T0035"),
    WORDS: ("AML.T0063", "AML.T0057"),
}
SURELY = "training rows in the files, beyond chance"
FOUND_SECRETS = "secrets in the files"
QUOTED = "errors that quote what was asked"
TOLD = "answers that tell of code or the machine"
SHOWN_ROWS = "training rows in answers"
EXPLAINED = "answers with more than a prediction"
GATES: Mapping[str, tuple[Gate, ...]] = {
    ROWS: (Gate(SURELY, "at most", 0.0),),
    SECRETS: (Gate(FOUND_SECRETS, "at most", 0.0),),
    WORDS: tuple(Gate(one, "at most", 0.0) for one in (QUOTED, TOLD, SHOWN_ROWS, EXPLAINED)),
}
_PLANTED = 20
_ASKED = 3
_NAMED = 20
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found in a model's files; it comes from outside, for that is another engine.

    Attributes:
        secrets, personal: findings of keys and passwords, and of data about people.
        places: files with a secret, by name.
        canary: a made-up key in a file beside them was found.
    """

    secrets: int
    personal: int
    places: tuple[str, ...] = field(default_factory=tuple)
    canary: bool = False


def rows_in_files(
    files: Mapping[str, bytes], trained: Rows, space: Space, seed: int, progress: Progress,
    name: Callable[[int], str] = str,
) -> Outcome:  # fmt: skip
    """Whether the model's files hold rows it was trained on.

    Args:
        files: name → bytes; never loaded.
        trained: rows it was trained on.
        name: how a report names a row, by its place.
    """
    places = carried.number_run(space)
    values = carried.values_of(space, trained, places)
    whole = np.flatnonzero(np.isfinite(values).all(axis=1))
    values = values[whole]
    if len(values) < _PLANTED or not carried.can_be_told(values):
        return _reason(ROWS, "fewer than three numbers beside each other, twenty rows or values")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(values))[: carried.MAX_ROWS])
    # Rows that are there twice are one: whoever keeps one keeps both.
    found = carried.found_in(files, carried.wanted(values, chosen), lambda: progress(0.1))
    nobody = carried.wanted(carried.shuffled(values, rng), chosen)
    chance = carried.found_in(files, nobody, lambda: progress(0.5))
    progress(0.8)
    canary = _planted(values, chosen[:_PLANTED], rng)
    count, low_high = len(chosen), clopper_pearson(len(found), len(chosen))
    held: dict[str, int] = {}
    for file in found.values():
        held[file] = held.get(file, 0) + 1
    told = tuple(
        f"`{file}` holds {number:,} of the {count:,} rows that were looked for."
        for file, number in sorted(held.items(), key=lambda one: -one[1])[:_NAMED]
    )
    return Outcome(
        ROWS, THREAT, ATLAS[ROWS],
        (
            Measure("training rows in the files", len(found) / count, *low_high, "share"),
            Measure("made-up rows in the files", len(chance) / count, unit="share"),
            Measure(SURELY, float(max(len(found) - len(chance), 0)), unit="rows"),
            Measure("rows that were looked for", count, unit="rows"),
        ),
        canary, (), (*told, _ROWS_LIMITS),
        {"rows in files": [name(int(whole[chosen[place]])) for place in sorted(found)]},
    )  # fmt: skip


_ROWS_LIMITS = (
    "Neighbours' models, support vector machines and Gaussian processes keep rows: whoever has "
    "such a file has them. Looked for are numbers beside each other, as they are and scaled; rows "
    "that are encrypted, cut apart or kept as ranks are not found."
)
_WORDS_LIMITS = (
    (
        "An explanation tells more of the model and of its people with every answer; give it to "
        "those who need it, not to every caller."
    ),
    "What is said only to other callers, or in other languages, is not heard here.",
)


def _planted(values: carried.Numbers, chosen: NDArray[np.intp], rng: np.random.Generator) -> Canary:
    """Rows planted in noise, in four forms; each must be found, and none in the noise alone."""
    rows = values[chosen]
    noise = rng.bytes(4_001)
    scaled = ((values - values.mean(0)) / values.std(0))[chosen]
    forms = {
        "as 64-bit numbers": noise + rows.astype("<f8").tobytes() + noise,
        "as 32-bit numbers, packed": zlib.compress(noise + rows.astype("<f4").tobytes()),
        "scaled": noise + scaled.astype("<f8").tobytes(),
        "as text": "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode(),
    }
    wanted = carried.wanted(values, chosen)
    counts = {name: len(carried.found_in({name: data}, wanted)) for name, data in forms.items()}
    alone = len(carried.found_in({"noise": noise}, wanted))
    return Canary(
        f"{len(rows)} rows in a file of noise, in four forms",
        min(counts.values()) == len(rows) and not alone,
        ", ".join(f"{count} {name}" for name, count in counts.items())
        + f"; {alone} in noise alone",
    )


def secrets_in_files(scanned: Scanned) -> Outcome:
    """Keys, passwords and data of people in the model's files, as a scan found them."""
    return Outcome(
        SECRETS, THREAT, ATLAS[SECRETS],
        (
            Measure(FOUND_SECRETS, scanned.secrets),
            Measure("findings of personal data in the files", scanned.personal),
        ),
        Canary("a made-up key in a file beside them", scanned.canary,
               "found" if scanned.canary else "not found"),
        words=("What a secret is, and where it is looked for: docs/scanning.md.",),
        listed={"files with secrets": list(scanned.places[:_NAMED])},
    )  # fmt: skip


def words_in_answers(
    speaks: words.Speaks, natural: Rows, trained: Rows | None, space: Space, progress: Progress
) -> Outcome:
    """What a server's answers and errors tell beyond the prediction."""
    natural = words.finite(natural)
    if not len(natural):
        return _reason(WORDS, "there is no whole row to ask")
    heard = _heard(speaks, natural, trained, space)
    progress(0.8)
    made = uniform(space, 2 * _PLANTED, np.random.default_rng(0))
    planted = _heard(words.talkative(space, made), made[:1], made, space)
    counts = {name: len(found) for name, found in planted.items() if name != "asked"}
    is_wide = len(carried.number_run(space)) >= carried.FEWEST_FEATURES
    needed = [count for name, count in counts.items() if is_wide or name != SHOWN_ROWS]
    return Outcome(
        WORDS, THREAT, ATLAS[WORDS],
        tuple(Measure(name, len(found)) for name, found in heard.items()),
        Canary(
            "a server that quotes, shows its code, explains, and answers with other people's rows",
            all(needed), ", ".join(f"{name}: {count}" for name, count in counts.items()),
        ),
        words=_WORDS_LIMITS,
        listed={name: found[:_NAMED] for name, found in heard.items() if found and name != "asked"},
        queries=len(heard["asked"]),
    )  # fmt: skip


def _heard(
    speaks: words.Speaks, natural: Rows, trained: Rows | None, space: Space
) -> dict[str, list[str]]:
    """Measure → which questions brought it about; texts of the server are not repeated."""
    heard: dict[str, list[str]] = {
        name: []
        for name in (QUOTED, TOLD, SHOWN_ROWS, EXPLAINED, "headers with a version", "asked")
    }
    asked = natural[:_ASKED]
    questions = [("a row in order", words.good(space, asked)), *words.bad(space, asked)]
    for name, question in questions:
        said = speaks(question)
        heard["asked"].append(name)
        if words.quotes(said):
            heard[QUOTED].append(name)
        if words.tells(said):
            heard[TOLD].append(f"{name}: {words.tells(said)}")
        if words.names_software(said):
            heard["headers with a version"].append(name)
        if found := words.explains(said):
            heard[EXPLAINED].append(f"{name}: {', '.join(found)}")
        if trained is not None and _shows_rows(said, asked, trained, space):
            heard[SHOWN_ROWS].append(name)
    return heard


def _shows_rows(said: words.Said, asked: Rows, trained: Rows, space: Space) -> bool:
    """Whether an answer holds a row that was not asked."""
    places = carried.number_run(space)
    values = carried.values_of(space, words.finite(trained), places)
    if len(values) < _PLANTED or not carried.can_be_told(values):
        return False
    own = carried.values_of(space, asked, places)
    others = np.flatnonzero(~(values[:, None] == own[None]).all(axis=2).any(axis=1))
    wanted = carried.wanted(values, others[: carried.MAX_ROWS])
    return bool(carried.found_in({"": said.text.encode()}, wanted))


def _reason(test: str, reason: str) -> Outcome:
    return Outcome(test, THREAT, ATLAS[test], reason=reason)
