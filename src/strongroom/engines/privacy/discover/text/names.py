"""Names of people, places and organisations by what stands around them, and by lists of names."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.engines.privacy.discover import dictionaries
from strongroom.engines.privacy.discover.text import wordlists
from strongroom.engines.privacy.discover.text.folding import Folded, fold
from strongroom.engines.privacy.discover.text.forms.form import LETTER, LOWER, UPPER, Form
from strongroom.engines.privacy.discover.text.patterns import Pattern
from strongroom.engines.privacy.discover.text.spans import Proposal

_WORD = rf"[{UPPER}][{LETTER}]*(?:'[{LETTER}]+|-[{UPPER}][{LETTER}]*|[{LETTER}])"
_INITIAL = rf"[{UPPER}]\."
_PARTICLE = r"(?:van der|van den|van de|von der|van|von|de la|de los|de|del|della|di|da|dos|das|do|du|bin|ibn|al|el|la|le|ter|ten|zu|y)"
_PART = rf"(?:{_WORD}|{_INITIAL})"
_SEQUENCE = rf"{_PART}(?:[ ]{{1,2}}(?:{_PARTICLE} )?{_PART}){{0,4}}"

_PAIRS = Pattern(rf"\b{_PART}(?:[ ]{{1,2}}(?:{_PARTICLE} )?{_PART}){{1,4}}")
# Cues end on the first letter of the name that they announce: RE2 then needs no groups, which
# cost it ten times more than the search.
_TITLED = Pattern(
    rf"\b(?:{wordlists.TITLES})\b\.?[ ]{{1,2}}(?:(?:Dr|Prof|med)\.?[ ]{{1,2}}){{0,2}}[{UPPER}]"
)
_TITLED_LOW = Pattern(
    r"(?i)\b(?:mr|mrs|ms|dr|prof|herr|frau|mme|senor|senora)\b\.? (?-i:[a-z\x82])"
)
_LABELS = wordlists.LABELS.replace(" ", "[ _]?")  # first_name, firstName
_TITLE = rf"(?:(?:{wordlists.TITLES})\b\.?[ ]{{1,2}})?"
_LABELLED = Pattern(
    rf"(?i:\b(?:{_LABELS}))[\"')]?[ ]?(?:[:=]|\x02|-)[ \t]{{0,3}}[\"']?{_TITLE}[{UPPER}]"
)
_LABELLED_LOW = Pattern(
    rf"(?i:\b(?:{wordlists.LABELS})[ ]?[:=]|\b(?:{wordlists.SAYINGS}))[ \t]{{1,3}}[a-z\x82]"
)
_GREETED = Pattern(
    rf"(?:^|[\n\r>\"*.!?] ?|\x02)[ \t]{{0,4}}(?:{wordlists.GREETINGS})\b,?!?[ \t]{{0,2}}(?:\r?\n){{0,3}}[ \t]{{0,4}}"
    rf"{_TITLE}[{UPPER}]"
)
_SAID = Pattern(rf"(?i:\b(?:{wordlists.SAYINGS})) {_TITLE}[{UPPER}]")
_PLACED = Pattern(
    r"\b(?i:in|from|near|nach|aus|lives in|born in|based in|bij|uit|en|em|city:|town:|location:|ort:|ville:|ciudad:)"
    rf" [{UPPER}]"
)
_NAME = Pattern(rf"{_WORD}, {_WORD}(?: {_INITIAL})?(?:[^{LETTER}]|$)|{_SEQUENCE}")
_LOW_NAME = Pattern(r"[a-z\x82]{2,}(?:['-][a-z\x82]+)?(?: [a-z\x82]{2,}(?:['-][a-z\x82]+)?)?")
_PLACE = Pattern(rf"{_WORD}(?:[ -]{_WORD}){{0,2}}")
_SURE, _LIKELY, _POSSIBLE = 0.9, 0.8, 0.62

_PIECE = rf"(?:{_PART}|&|of|and|for|the|[{UPPER}0-9]{{2,}})"
_ORGANIZED = Pattern(
    rf"\b(?:(?:{_PIECE} ){{1,5}}(?:{wordlists.ORGANIZATION_ENDS})\b\.?(?:,? (?:Inc|LLC|Ltd|Corp|GmbH|Co)\b\.?)?"
    rf"|{_WORD}, (?:Inc|LLC|LLP|Ltd|Corp|P\.C|PC|PLLC)\b\.?)"
)
_ENDS = frozenset(wordlists.ORGANIZATION_ENDS.replace("\\", "").replace("?", "").lower().split("|"))
_SMALL = frozenset(("of", "and", "for", "the", "&"))
ORGANIZATIONS = (
    Form("organization", rf"\b(?:University|Bank|Institute|Ministry|Department|Museum|Hospital|College|Church|Bureau) of (?:the )?{_WORD}(?: {_WORD}){{0,2}}", 0.8),
    Form("organization", rf"\b(?:Klinikum|Universitatsklinikum|Universitat|Hopital|Hospital|Clinica|Universite|Universidad|Banco|Banque|Banca|Stadtwerke|Sparkasse) (?:de |del |di |der )?{_WORD}(?: {_WORD}){{0,2}}", 0.75),
    Form("organization", rf"\b{_WORD} & (?:{_WORD}|Co|Sons)\b(?:,? (?:LLP|LLC|Inc|Ltd|PC|P\.C)\b\.?)?", 0.6),
    Form("organization", r"\b(?i:company|employer|organi[sz]ation|firma|arbeitgeber|entreprise|empresa|azienda|bedrijf)[:=] ?(" + rf"{_PART}(?: (?:{_PART}|&|and|of)){{0,4}})", 0.85),
    Form("country", rf"\b(?:{wordlists.COUNTRIES})\b", 0.7),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Seen:
    """Folded text as bytes for patterns, and as strings of the same places for lists."""

    data: bytes
    text: str
    lowered: str


class NameFinder:
    """Finds names without a model. Holds the lists of names, some 150,000 words."""

    def __init__(self) -> None:
        given, family = dictionaries.people()
        kept = wordlists.PLAIN - wordlists.NAMELIKE
        folded = [
            {word for name in names for word in _plain(name).split()} - kept
            for names in (given, family)
        ]
        self.given, self.family = frozenset(folded[0]), frozenset(folded[1])
        self.towns = frozenset(_plain(town) for town in dictionaries.places())

    def scan(self, folded: Folded) -> Iterator[Proposal]:
        """Proposals of names, in bytes; they may overlap."""
        text = folded.data.decode("latin-1")
        seen = _Seen(folded.data, text, text.lower())
        yield from self._announced(seen)
        yield from self._low(seen)
        yield from self._pairs(seen)
        yield from self._organizations(seen)
        yield from self._places(seen)

    def _announced(self, seen: _Seen) -> Iterator[Proposal]:
        """Names behind a title, a label, a greeting or words that introduce somebody."""
        data, size = seen.data, len(seen.data)
        for pattern, confidence, must_be_listed in (
            (_TITLED, _SURE, False),
            (_LABELLED, 0.88, False),
            (_GREETED, 0.85, False),
            (_SAID, 0.85, True),
        ):
            for _, behind in pattern.places(data):
                start = behind - 1
                end = _NAME.end_of(data, start, size)
                if end < 0:
                    continue
                while not data[end - 1 : end].isalpha() and data[end - 1] not in b"\x81\x82.":
                    end -= 1
                if pattern is _LABELLED and _is_code(data, start, end):
                    continue
                end = self._trimmed(seen, start, end)
                if end > start and (not must_be_listed or self._listed(seen, start, end)):
                    yield start, end, "person_name", confidence, "context"

    def _low(self, seen: _Seen) -> Iterator[Proposal]:
        """Names without capitals behind a title or a label."""
        data, size = seen.data, len(seen.data)
        for pattern, titled in ((_TITLED_LOW, True), (_LABELLED_LOW, False)):
            for _, behind in pattern.places(data):
                start = behind - 1
                end = _LOW_NAME.end_of(data, start, size)
                if end < 0:
                    continue
                words = seen.text[start:end].split()
                if words[0] not in self.given and not (titled and words[0] in self.family):
                    continue
                if len(words) == 2 and (words[1] not in self.family or words[1] in _STOPS):
                    end = start + len(words[0])
                    if not titled:
                        continue
                if len(words) == 2 or titled:
                    yield start, end, "person_name", _LIKELY, "context"

    def _trimmed(self, seen: _Seen, start: int, end: int) -> int:
        """Where a name ends without the plain words behind it; 0: it begins with one, or is a firm."""
        words = seen.lowered[start:end].split(" ")
        kept = 0
        for index, word in enumerate(words):
            bare = word.strip(".,")
            if bare in _ENDS and index:
                return 0
            if bare in _STOPS and len(bare) > 1 and not (index == 1 and bare in _NAMELIKE):
                break
            kept = index + 1
        while kept and words[kept - 1] in _PARTICLES:
            kept -= 1
        length = sum(map(len, words[:kept])) + kept - 1
        if kept and words[kept - 1].endswith("'s"):
            length -= 2
        return start + length if length > 1 else 0

    def _listed(self, seen: _Seen, start: int, end: int) -> bool:
        words = seen.lowered[start:end].replace("-", " ").split()
        return any(word in self.given or word in self.family for word in words)

    def _pairs(self, seen: _Seen) -> Iterator[Proposal]:
        """Two to five words with capitals, of which lists know the first or the last."""
        given, family, text, lowered = self.given, self.family, seen.text, seen.lowered
        for begin, behind in _PAIRS.places(seen.data):
            start, end = begin, behind
            words = lowered[start:end].split(" ")
            if (
                len(words) == 2 and words[0] in given and words[1] in family
                and words[0] not in _STOPS and words[1] not in _STOPS and words[1] not in _ENDS
            ):  # fmt: skip
                yield start, end, "person_name", _SURE, "dictionary"  # as nearly all are
                continue
            if text.endswith("'s", start, end):
                words[-1], end = words[-1][:-2], end - 2
            first, last = 0, len(words)
            while first < last and words[first] in _STOPS and not self._opens(words, first):
                start += len(words[first]) + 1
                first += 1
            while last > first and words[last - 1] in _STOPS and not self._closes(words, last):
                last -= 1
                end -= len(words[last]) + 1
            if last - first < 2 or words[last - 1] in _ENDS:
                continue
            confidence = self._sureness(words[first:last], text[start:end])
            if confidence:
                yield start, end, "person_name", confidence, "dictionary"

    def _sureness(self, words: list[str], text: str) -> float:
        """How sure it is that words with capitals, `text` in lower case, name a person; or 0."""
        given, family = self.given, self.family
        one, two = words[0].partition("-")[0], words[-1].rpartition("-")[2]
        for word in words[1:-1]:
            if word in _STOPS and word not in _PARTICLES and len(word) > 1:
                return 0.0
        shouted = text.isupper()
        if one in given and two in family:
            return _SURE if not shouted or len(words) <= 3 else 0.0
        if shouted:
            return 0.0
        if one in given:
            return 0.74
        if two in family and one[1:] == ".":
            return _LIKELY
        if any(word.isupper() and len(word) > 2 for word in text.split(" ")):
            return 0.0  # "Later WILSON": capitals begin a name
        if two in family and (one in family or len(words) == 2):
            return _POSSIBLE if one in family else 0.52
        return 0.0

    def _opens(self, words: list[str], at: int) -> bool:
        """True for "Mark" before "Wilson": a plain word that is a name beside a listed one."""
        behind = words[at + 1] if at + 1 < len(words) else ""
        if behind in _STOPS:
            return words[at] in wordlists.SURELY_NAMES and behind in _NAMELIKE
        return words[at] in _NAMELIKE and behind in self.family

    def _closes(self, words: list[str], last: int) -> bool:
        """True for "White" behind "David"."""
        before = words[last - 2] if last > 1 else ""
        if before in _STOPS and before not in wordlists.SURELY_NAMES:
            return False
        return words[last - 1] in _NAMELIKE and before in self.given

    def _organizations(self, seen: _Seen) -> Iterator[Proposal]:
        for begin, end in _ORGANIZED.places(seen.data):
            start = begin
            words = seen.lowered[start:end].split(" ")
            first = 0
            while first < len(words) - 1 and (words[first] in _STOPS or words[first] in _SMALL):
                start += len(words[first]) + 1
                first += 1
            if first < len(words) - 1 and words[first].strip(".,") not in _ENDS:
                yield start, end, "organization", 0.82, "pattern"

    def _places(self, seen: _Seen) -> Iterator[Proposal]:
        data, size, towns = seen.data, len(seen.data), self.towns
        for _, behind in _PLACED.places(data):
            start = behind - 1
            end = _PLACE.end_of(data, start, size)
            name = seen.lowered[start:end] if end > start else ""
            while name and name not in towns and " " in name:
                name = name.rpartition(" ")[0]
            if name in towns and name not in _STOPS:
                yield start, start + len(name), "city", 0.74, "dictionary"


# A call or member in code; and words joined by capitals, beside "McDonald" and "DiCaprio".
_CALLED = Pattern(r"[(\[{=]|\.[a-z_]|_|\"?: ?[\[{]")
_JOINED = Pattern(rf"[{UPPER}][{LOWER}]{{3,}}[{UPPER}]")
_CONSTANTS = frozenset((b"True", b"False", b"None", b"Null", b"Any", b"Optional"))


def _is_code(data: bytes, start: int, end: int) -> bool:
    """True where the value behind a label is one of code rather than a name."""
    word = data[start:end]
    if word in _CONSTANTS or (b" " not in word and _JOINED.end_of(word, 0, len(word)) >= 0):
        return True
    return _CALLED.end_of(data, end, len(data)) >= 0


_STOPS, _NAMELIKE = wordlists.PLAIN, wordlists.NAMELIKE
_PARTICLES = frozenset(
    (
        "van", "von", "der", "den", "de", "la", "le", "los", "di", "da", "del", "della", "dos", "das", "do", "du", "bin", "ibn", "al", "el", "ter", "ten", "zu", "y",
    )
)  # fmt: skip


def _plain(name: str) -> str:
    """A name as folded text has it, in lower case."""
    return fold(name).data.decode("latin-1").lower()
