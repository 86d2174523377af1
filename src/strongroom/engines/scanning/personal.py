"""Personal data in the texts of a file: how many different values of what kind, never which.

What an e-mail address or a name looks like is told by a function that is given (`Spotter`). Here
it is decided which texts are worth asking about, and from how many values on it is no accident.
"""

import re
from hashlib import blake2b
from itertools import islice

from strongroom.engines.scanning.secrets import Spotter

MAX_CHARACTERS = 16 << 20
"""Characters of one file that are looked at for personal data."""
_MAX_VALUES = 100_000
_FEW = 5
_FEW_SURE = 2

# A text without any of these has nothing that the function would find, but for names.
_MAIL = re.compile(r"@[\w-]{1,100}\.[A-Za-z]{2}")
_HINTS = ("born", "birth", "dob", "ssn", "passport", "patient", "mrn", "nhs", "insurance", "phone",
          "mobile", "iban", "street", "avenue")  # fmt: skip
_HINT = re.compile(rf"\b(?:{'|'.join(_HINTS)})\b")
_NAMES = re.compile(r"\b[A-ZÀ-Þ][a-zß-ÿ]{2,40}[ ,]{1,2}[A-ZÀ-Þ][a-zß-ÿ]{2,40}\b")
_MANY_NAMES = 20
# What a number of is no accident sooner: nobody writes them into a README.
_SURE = frozenset(
    (
        *("us_ssn", "iban", "payment_card", "medical_record_number", "health_insurance_number"),
        *("date_of_birth", "national_id", "passport_number", "uk_nhs_number", "uk_nino"),
        *("fr_nir", "nl_bsn", "pl_pesel", "es_dni", "it_fiscal_code", "in_aadhaar", "br_cpf"),
        *("ca_sin", "ch_ahv", "fi_hetu", "se_personal_number", "driving_licence", "bank_account"),
    )
)
_OTHERS = frozenset(("email", "person_name", "street_address", "phone"))
_WORDS = {
    "email": "e-mail addresses", "person_name": "names of people", "phone": "telephone numbers",
    "street_address": "street addresses", "date_of_birth": "dates of birth",
}  # fmt: skip
# Files that tell who wrote something, as they should.
_CREDITS = re.compile(
    r"(?i)(?:licen[cs]e|notice|copying|authors?|contributors|maintainers|citation|readme|metadata"
    r"|pkg-info|model_?card|changelog|.*(?:cyclonedx|spdx|sbom))"
)
# Lists of single words for a language model: every name is a word of it.
_VOCABULARY = re.compile(r"(?i)vocab|tokenizer|merges|spiece|sentencepiece")


def may_hold_personal(text: str, name: str) -> bool:
    """Whether it is worth asking about a text of the file `name`; sees too many."""
    if "@" in text and _MAIL.search(text):
        return True
    lower = text.lower()
    if any(hint in lower for hint in _HINTS) and _HINT.search(lower):
        return True
    if _CREDITS.match(name) or _VOCABULARY.search(name):
        return False
    if text.count(" ") + text.count(",") < _MANY_NAMES:
        return False
    return len(list(islice(_NAMES.finditer(text), _MANY_NAMES))) == _MANY_NAMES


class PersonalTally:
    """Different values that were found in one file, by kind."""

    def __init__(self, name: str, spotter: Spotter) -> None:
        """`name` is the last part of the file's name."""
        self._spotter = spotter
        self._without_names = bool(_VOCABULARY.search(name))
        self._may_name = bool(_CREDITS.match(name))
        self._values: dict[str, set[bytes]] = {}
        self._first: int | None = None
        self._bytes = 0

    def add(self, text: str) -> int | None:
        """Counts what a text holds; the first character of the first value, or None."""
        first = None
        for start, end, kind in self._spotter(text):
            if kind not in _SURE and kind not in _OTHERS:
                continue
            if kind == "person_name" and (self._without_names or " " not in text[start:end]):
                continue  # a single word may be anything
            value = text[start:end].casefold().encode("utf-8", "surrogatepass")
            held = self._values.setdefault(kind, set())
            if len(held) < _MAX_VALUES:
                # Digests, for the values themselves need not be in memory any longer.
                held.add(blake2b(value, digest_size=8).digest())
            self._bytes += len(value)
            first = start if first is None else min(first, start)
        return first

    @property
    def found_any(self) -> bool:
        """Whether there was anything."""
        return bool(self._values)

    @property
    def size_bytes(self) -> int:
        """Of all values together, as often as they stand there."""
        return self._bytes

    @property
    def is_no_accident(self) -> bool:
        """Whether it is more than the few values that stand in honest files."""
        if self._may_name:
            return self._count(_SURE) >= _FEW
        return self._count(_SURE) >= _FEW_SURE or self._count(_OTHERS) >= _FEW

    def says(self) -> str:
        """How many of what, for a finding."""
        told = [
            f"{len(values):,} {_WORDS.get(kind, kind.replace('_', ' ') + ' values')}"
            for kind, values in sorted(self._values.items(), key=lambda one: -len(one[1]))
        ]
        return f"holds what looks like {', '.join(told[:6])}"

    def _count(self, kinds: frozenset[str]) -> int:
        return sum(len(values) for kind, values in self._values.items() if kind in kinds)
