"""Names of people, places and organisations by what stands around them, and by lists of names."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from collections.abc import Iterator

from strongroom.engines.privacy.discover import dictionaries
from strongroom.engines.privacy.discover.text import wordlists
from strongroom.engines.privacy.discover.text.folding import Folded, fold
from strongroom.engines.privacy.discover.text.forms.form import LETTER, LOWER, UPPER, Form
from strongroom.engines.privacy.discover.text.scanner import compiled
from strongroom.engines.privacy.discover.text.spans import Span

_WORD = rf"[{UPPER}][{LETTER}]*(?:'[{LETTER}]+|-[{UPPER}][{LETTER}]*|[{LETTER}])"
_INITIAL = rf"[{UPPER}]\."
_PARTICLE = r"(?:van der|van den|van de|von der|van|von|de la|de los|de|del|della|di|da|dos|das|do|du|bin|ibn|al|el|la|le|ter|ten|zu|y)"
_PART = rf"(?:{_WORD}|{_INITIAL})"
_SEQUENCE = rf"{_PART}(?:[ ]{{1,2}}(?:{_PARTICLE} )?{_PART}){{0,4}}"

_PAIRS = compiled(rf"\b{_PART}(?:[ ]{{1,2}}(?:{_PARTICLE} )?{_PART}){{1,4}}")
# Cues end on the first letter of the name that they announce: RE2 then needs no groups, which
# cost it ten times more than the search.
_TITLED = compiled(
    rf"\b(?:{wordlists.TITLES})\b\.?[ ]{{1,2}}(?:(?:Dr|Prof|med)\.?[ ]{{1,2}}){{0,2}}[{UPPER}]"
)
_TITLED_LOW = compiled(
    r"(?i)\b(?:mr|mrs|ms|dr|prof|herr|frau|mme|senor|senora)\b\.? (?-i:[a-z\x82])"
)
_LABELS = wordlists.LABELS.replace(" ", "[ _]?")  # first_name, firstName
_TITLE = rf"(?:(?:{wordlists.TITLES})\b\.?[ ]{{1,2}})?"
_LABELLED = compiled(
    rf"(?i:\b(?:{_LABELS}))[\"')]?[ ]?(?:[:=]|\x02|-)[ \t]{{0,3}}[\"']?{_TITLE}[{UPPER}]"
)
_LABELLED_LOW = compiled(
    rf"(?i:\b(?:{wordlists.LABELS})[ ]?[:=]|\b(?:{wordlists.SAYINGS}))[ \t]{{1,3}}[a-z\x82]"
)
_GREETED = compiled(
    rf"(?:^|[\n\r>\"*.!?] ?|\x02)[ \t]{{0,4}}(?:{wordlists.GREETINGS})\b,?!?[ \t]{{0,2}}(?:\r?\n){{0,3}}[ \t]{{0,4}}"
    rf"{_TITLE}[{UPPER}]"
)
_SAID = compiled(rf"(?i:\b(?:{wordlists.SAYINGS})) {_TITLE}[{UPPER}]")
_PLACED = compiled(
    r"\b(?i:in|from|near|nach|aus|lives in|born in|based in|bij|uit|en|em|city:|town:|location:|ort:|ville:|ciudad:)"
    rf" [{UPPER}]"
)
_NAME = compiled(rf"{_WORD}, {_WORD}(?: {_INITIAL})?(?:[^{LETTER}]|$)|{_SEQUENCE}")
_LOW_NAME = compiled(r"[a-z\x82]{2,}(?:['-][a-z\x82]+)?(?: [a-z\x82]{2,}(?:['-][a-z\x82]+)?)?")
_PLACE = compiled(rf"{_WORD}(?:[ -]{_WORD}){{0,2}}")
_SURE, _LIKELY, _POSSIBLE = 0.9, 0.8, 0.62

_PIECE = rf"(?:{_PART}|&|of|and|for|the|[{UPPER}0-9]{{2,}})"
_ORGANIZED = compiled(
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

    def scan(self, folded: Folded) -> Iterator[Span]:
        """Spans of names; they may overlap."""
        data = folded.data
        for pattern, confidence, must_be_listed in (
            (_TITLED, _SURE, False),
            (_LABELLED, 0.88, False),
            (_GREETED, 0.85, False),
            (_SAID, 0.85, True),
        ):
            for found in pattern.finditer(data):
                name = _NAME.match(data, found.end() - 1)
                if name is None:
                    continue
                start, end = name.span()
                while not data[end - 1 : end].isalpha() and data[end - 1] not in b"\x81\x82.":
                    end -= 1
                if pattern is _LABELLED and _is_code(data, start, end):
                    continue
                trimmed = self._trimmed(data, start, end)
                if trimmed and (not must_be_listed or self._listed(data, *trimmed)):
                    yield Span(*folded.original(*trimmed), "person_name", confidence, "context")
        yield from self._low(folded)
        yield from self._pairs(folded)
        yield from self._organizations(folded)
        yield from self._places(folded)

    def _low(self, folded: Folded) -> Iterator[Span]:
        """Names without capitals behind a title or a label."""
        data = folded.data
        for pattern, titled in ((_TITLED_LOW, True), (_LABELLED_LOW, False)):
            for found in pattern.finditer(data):
                name = _LOW_NAME.match(data, found.end() - 1)
                if name is None:
                    continue
                start, end = name.span()
                words = data[start:end].decode("latin-1").split()
                if words[0] not in self.given and not (titled and words[0] in self.family):
                    continue
                if len(words) == 2 and (words[1] not in self.family or words[1] in _STOPS):
                    end = start + len(words[0])
                    if not titled:
                        continue
                if len(words) == 2 or titled:
                    yield Span(*folded.original(start, end), "person_name", _LIKELY, "context")

    def _trimmed(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """Without the plain words behind a name; None where it begins with one, or is a firm."""
        words = data[start:end].decode("latin-1").split(" ")
        kept = 0
        for index, word in enumerate(words):
            lowered = word.strip(".,").lower()
            if lowered in _ENDS and index:
                return None
            if lowered in _STOPS and len(lowered) > 1 and not (index == 1 and lowered in _NAMELIKE):
                break
            kept = index + 1
        while kept and words[kept - 1].lower() in _PARTICLES:
            kept -= 1
        if not kept:
            return None
        name = " ".join(words[:kept])
        end = start + len(name.removesuffix("'s").removesuffix("'S"))
        return (start, end) if end - start > 1 else None

    def _listed(self, data: bytes, start: int, end: int) -> bool:
        words = data[start:end].decode("latin-1").lower().replace("-", " ").split()
        return any(word in self.given or word in self.family for word in words)

    def _pairs(self, folded: Folded) -> Iterator[Span]:
        """Two to five words with capitals, of which lists know the first or the last."""
        data, given, family = folded.data, self.given, self.family
        for found in _PAIRS.finditer(data):
            start, end = found.span()
            text = data[start:end].decode("latin-1")
            if text.endswith("'s"):
                text, end = text[:-2], end - 2
            words = text.lower().split(" ")
            first, last = 0, len(words)
            while first < last and words[first] in _STOPS and not self._opens(words, first):
                start += len(words[first]) + 1
                first += 1
            while last > first and words[last - 1] in _STOPS and not self._closes(words, last):
                last -= 1
                end -= len(words[last]) + 1
            if last - first < 2 or words[last - 1] in _ENDS:
                continue
            one, two = words[first].partition("-")[0], words[last - 1].rpartition("-")[2]
            inner = words[first + 1 : last - 1]
            if any(word in _STOPS and word not in _PARTICLES and len(word) > 1 for word in inner):
                continue
            shouted = text.isupper()
            if one in given and two in family:
                confidence = _SURE if not shouted or last - first <= 3 else 0.0
            elif shouted:
                continue
            elif one in given:
                confidence = 0.74
            elif two in family and one[1:] == ".":
                confidence = _LIKELY
            elif any(word.isupper() and len(word) > 2 for word in text.split(" ")):
                continue  # "Later WILSON": capitals begin a name
            elif two in family and (one in family or last - first == 2):
                confidence = _POSSIBLE if one in family else 0.52
            else:
                continue
            if confidence:
                yield Span(*folded.original(start, end), "person_name", confidence, "dictionary")

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

    def _organizations(self, folded: Folded) -> Iterator[Span]:
        data = folded.data
        for found in _ORGANIZED.finditer(data):
            start, end = found.span()
            words = data[start:end].decode("latin-1").lower().split(" ")
            first = 0
            while first < len(words) - 1 and (words[first] in _STOPS or words[first] in _SMALL):
                start += len(words[first]) + 1
                first += 1
            if first < len(words) - 1 and words[first].strip(".,") not in _ENDS:
                yield Span(*folded.original(start, end), "organization", 0.82, "pattern")

    def _places(self, folded: Folded) -> Iterator[Span]:
        data, towns = folded.data, self.towns
        for cue in _PLACED.finditer(data):
            found = _PLACE.match(data, cue.end() - 1)
            if found is None:
                continue
            start, end = found.span()
            name = data[start:end].decode("latin-1").lower()
            while name and name not in towns and " " in name:
                name = name.rpartition(" ")[0]
            if name in towns and name not in _STOPS:
                place = folded.original(start, start + len(name))
                yield Span(*place, "city", 0.74, "dictionary")


# A call or member in code; and words joined by capitals, beside "McDonald" and "DiCaprio".
_CALLED = compiled(r"[(\[{=]|\.[a-z_]|_|\"?: ?[\[{]")
_JOINED = compiled(rf"[{UPPER}][{LOWER}]{{3,}}[{UPPER}]")
_CONSTANTS = frozenset((b"True", b"False", b"None", b"Null", b"Any", b"Optional"))


def _is_code(data: bytes, start: int, end: int) -> bool:
    """True where the value behind a label is one of code rather than a name."""
    word = data[start:end]
    if word in _CONSTANTS or (b" " not in word and _JOINED.match(word) is not None):
        return True
    return _CALLED.match(data, end) is not None


_STOPS, _NAMELIKE = wordlists.PLAIN, wordlists.NAMELIKE
_PARTICLES = frozenset(
    (
        "van", "von", "der", "den", "de", "la", "le", "los", "di", "da", "del", "della", "dos", "das", "do", "du", "bin", "ibn", "al", "el", "ter", "ten", "zu", "y",
    )
)  # fmt: skip


def _plain(name: str) -> str:
    """A name as folded text has it, in lower case."""
    return fold(name).data.decode("latin-1").lower()
