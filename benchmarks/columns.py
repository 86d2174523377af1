"""Which columns are personal: the engine against Presidio and DataFog on the same tables.

Marks: F1 at least .92 with a precision of at least .97, at 200 columns/s and more (1,000-row
sample). Peers look at values, Presidio also with the words of the column's name as context; what
is not installed is left out by name. The engine runs with the columns' names and with them
hidden. Tables: `pii-columns` (only those with odd numbers: the others were tuned on), and the split
`hold` of both generators, `labelled_tables` and `wild_tables`. Of those, columns of types that the
peers do not know are taken out; the last lines give the engine on all columns of `wild_tables`.
"""

import importlib.util
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from benchmarks.labelled_tables import LabelledTable, tables
from benchmarks.wild_ids import NATIONAL
from benchmarks.wild_tables import wild
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.headers import words_of
from strongroom.engines.privacy.discover.tables import discover_table

SHARED = Path(os.environ.get("STRONGROOM_SHARED_DATA", Path(__file__).parents[2] / "shared/data"))
VALUES = 100
"""Distinct values of a column that peers look at, as they would take far longer for all."""
LEAST_SHARE = 0.5
OWN_TABLES = int(os.environ.get("STRONGROOM_BENCH_TABLES", "40"))

COMMON = {
    "person_name": "PERSON", "given_name": "PERSON", "family_name": "PERSON", "email": "EMAIL",
    "phone": "PHONE", "street_address": "LOCATION", "city": "LOCATION", "postcode": "LOCATION",
    "payment_card": "CREDIT_CARD", "us_ssn": "SSN", "iban": "IBAN", "ip_address": "IP",
    "mac_address": "MAC", "url": "URL", "date_of_birth": "DATE",
    # Presidio's and DataFog's words.
    "PERSON": "PERSON", "EMAIL_ADDRESS": "EMAIL", "EMAIL": "EMAIL", "PHONE_NUMBER": "PHONE",
    "PHONE": "PHONE", "LOCATION": "LOCATION", "ADDRESS": "LOCATION", "ZIP": "LOCATION",
    "CREDIT_CARD": "CREDIT_CARD", "US_SSN": "SSN", "SSN": "SSN", "IBAN_CODE": "IBAN",
    "IBAN": "IBAN", "IP_ADDRESS": "IP", "MAC_ADDRESS": "MAC", "URL": "URL", "DATE_TIME": "DATE",
    "DOB": "DATE", "DATE": "DATE",
}  # fmt: skip
Table = tuple[pa.Table, dict[str, str]]
Guess = Callable[[pa.Table], list[str | None]]


def pii_columns() -> list[Table]:
    """The labelled tables that nothing was tuned on; none where they are not there."""
    folder = SHARED / "pii-columns"
    if not folder.is_dir():
        return []
    labels = json.loads((folder / "labels.json").read_text())
    options = pa.csv.ParseOptions(newlines_in_values=True)
    return [
        (pa.csv.read_csv(path, parse_options=options), labels[path.name])
        for path in sorted(folder.glob("*.csv"))[1::2]
    ]


def known_to_all(labelled_tables: Iterable[LabelledTable]) -> list[Table]:
    """Our tables; columns of types that the peers do not know are taken out."""
    made = []
    for labelled in labelled_tables:
        known = [
            name
            for name in labelled.table.column_names
            if labelled.labels.get(name, "person_name") in COMMON
        ]
        labels = {name: COMMON[kind] for name, kind in labelled.labels.items() if name in known}
        made.append((labelled.table.select(known), labels))
    return made


def strongroom(table: pa.Table) -> list[str | None]:
    """What the engine says."""
    return [
        None
        if finding.type is None or finding.role is Role.PLAIN
        else COMMON.get(finding.type, finding.type)
        for finding in discover_table(table).columns
    ]


def strongroom_blind(table: pa.Table) -> list[str | None]:
    """What the engine says without the columns' names."""
    return strongroom(table.rename_columns([f"c{at}" for at in range(table.num_columns)]))


def _by_majority(find: Callable[[str, str], Sequence[tuple[str, int]]]) -> Guess:
    """A column is of the type that covers most of the text of at least half of its values."""

    def guess(table: pa.Table) -> list[str | None]:
        said: list[str | None] = []
        for header, column in zip(table.column_names, table.columns, strict=True):
            values = list(dict.fromkeys(str(v) for v in column.to_pylist() if v is not None))
            counts: Counter[str] = Counter()
            for value in values[:VALUES]:
                counts.update(
                    {
                        COMMON.get(kind, kind)
                        for kind, size in find(value, header)
                        if 2 * size >= len(value)
                    }
                )
            best = counts.most_common(1)
            enough = best and best[0][1] >= LEAST_SHARE * len(values[:VALUES])
            said.append(best[0][0] if enough else None)
        return said

    return guess


def presidio(model: str | None) -> Guess | None:
    """Presidio's recognisers, with a spaCy model or without; None where it is not installed."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        return None
    if model is not None and importlib.util.find_spec(model) is None:
        return None
    analyzer: Any = importlib.import_module("presidio_analyzer")
    domains: Any = importlib.import_module("tldextract")
    domains.extract = domains.TLDExtract(suffix_list_urls=())  # its own list: no network here
    registry = analyzer.RecognizerRegistry()
    registry.load_predefined_recognizers()
    if model is None:
        # All that need no model, its recogniser of telephone numbers among them.
        recognizers = [
            one for one in registry.recognizers
            if type(one).__name__ != "SpacyRecognizer"
        ]  # fmt: skip

        def patterns(text: str, _header: str) -> list[tuple[str, int]]:
            found = [
                result
                for one in recognizers
                for result in one.analyze(text, one.supported_entities, None) or []
            ]
            found.sort(key=lambda result: -result.score)
            return [(result.entity_type, result.end - result.start) for result in found[:1]]

        return _by_majority(patterns)
    provider: Any = importlib.import_module("presidio_analyzer.nlp_engine")
    configured = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    nlp = provider.NlpEngineProvider(nlp_configuration=configured).create_engine()
    engine = analyzer.AnalyzerEngine(nlp_engine=nlp, registry=registry)

    return _by_majority(_analyzed(engine))


def _analyzed(engine: Any) -> Callable[[str, str], list[tuple[str, int]]]:  # noqa: ANN401 # Presidio's engine, which may be absent
    """The surest of what a Presidio engine sees, told the words of the column's name."""

    def analyzed(text: str, header: str) -> list[tuple[str, int]]:
        results = engine.analyze(text, "en", context=list(words_of(header)))
        found = sorted(results, key=lambda result: -result.score)
        return [(result.entity_type, result.end - result.start) for result in found[:1]]

    return analyzed


def presidio_in_context() -> Guess | None:
    """Presidio's patterns with a column's name as context, by spaCy's words without a model."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        return None
    analyzer: Any = importlib.import_module("presidio_analyzer")
    engines: Any = importlib.import_module("presidio_analyzer.nlp_engine")
    spacy: Any = importlib.import_module("spacy")
    registry = analyzer.RecognizerRegistry()
    registry.load_predefined_recognizers()
    registry.remove_recognizer("SpacyRecognizer")
    nlp = engines.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    nlp.nlp = {"en": spacy.blank("en")}
    return _by_majority(_analyzed(analyzer.AnalyzerEngine(nlp_engine=nlp, registry=registry)))


def datafog() -> Guess | None:
    """DataFog's patterns; None where it is not installed."""
    if importlib.util.find_spec("datafog") is None:
        return None
    module: Any = importlib.import_module("datafog.processing.text_processing.regex_annotator")
    annotator = module.RegexAnnotator()

    def annotated(text: str, _header: str) -> list[tuple[str, int]]:
        found = annotator.annotate(text)
        return [(kind, len(value)) for kind, values in found.items() for value in values]

    return _by_majority(annotated)


def measure(name: str, guess: Guess, made: list[Table]) -> None:
    """Precision, recall, speed, and F1 by type."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    columns, seconds = 0, 0.0
    for table, _ in made:  # loads what is loaded once, and builds the patterns' automata
        guess(table)
    for table, labels in made:
        started = time.process_time()
        said = guess(table)
        seconds += time.process_time() - started
        columns += table.num_columns
        for column, kind in zip(table.column_names, said, strict=True):
            label = labels.get(column)
            wanted.update([label] if label else [])
            found.update([kind] if kind else [])
            right.update([kind] if kind and kind == label else [])
    precision = right.total() / max(1, found.total())
    recall = right.total() / max(1, wanted.total())
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    print(f"{name:28} F1 {f1:.3f}  precision {precision:.3f}  recall {recall:.3f}"
          f"  {columns / max(seconds, 1e-9):7.1f} columns/s")  # fmt: skip
    by_type = [
        f"{kind} {2 * right[kind] / max(1, wanted[kind] + found[kind]):.2f}"
        for kind in sorted(wanted)
    ]
    print(f"{'':28} {', '.join(by_type)}")


def main() -> None:
    """Measure all candidates on all tables, one after the other."""
    candidates: dict[str, Guess | None] = {
        "strongroom": strongroom,
        "strongroom, names hidden": strongroom_blind,
        "presidio, patterns": presidio(None),
        "presidio, names as context": presidio_in_context(),
        "presidio, spaCy small": presidio("en_core_web_sm"),
        "datafog, patterns": datafog(),
    }
    own = list(wild("hold", OWN_TABLES))
    for title, made in (
        ("pii-columns, odd tables", pii_columns()),
        ("labelled_tables, hold", known_to_all(tables("hold", OWN_TABLES, rows=1_000))),
        ("wild_tables, hold", known_to_all(own)),
    ):
        if not made:
            print(f"{title}: not there, left out")
            continue
        print(f"{title}: {sum(table.num_columns for table, _ in made)} columns")
        for name, guess in candidates.items():
            if guess is None:
                print(f"{name:28} not installed, left out")
            else:
                measure(name, guess, made)
    everything = [
        (one.table, {name: _coarse(kind) for name, kind in one.labels.items()}) for one in own
    ]
    print(
        f"wild_tables, hold, all types: {sum(table.num_columns for table, _ in everything)} columns"
    )
    measure("strongroom", _national(strongroom), everything)
    measure("strongroom, names hidden", _national(strongroom_blind), everything)


def _coarse(kind: str) -> str:
    return "national_id" if kind in NATIONAL else COMMON.get(kind, kind)


def _national(guess: Guess) -> Guess:
    """The guess with `national_id` for the number of whichever country."""
    return lambda table: [None if kind is None else _coarse(kind) for kind in guess(table)]


if __name__ == "__main__":
    main()
