"""Makes labelled text: sentences of many kinds, filled with names of many origins.

Labels: PER, LOC and ORG. Templates and word lists are our own; the names of people come from
Faker's lists (MIT), those of towns from phonenumbers (Apache-2.0). Everything follows the seed.
"""
# ruff: noqa: S311 # its chance must be repeatable

import importlib
import pkgutil
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strongroom.engines.privacy.discover import dictionaries

Labelled = tuple[str, list[tuple[int, int, str]]]
_SLOT = re.compile(r"\{(\w+)\}")
_HERE = Path(__file__).parent
_LABELS = {
    "person": "PER", "full": "PER", "given": "PER", "family": "PER", "titled": "PER",
    "reversed": "PER", "initialed": "PER", "city": "LOC", "country": "LOC", "region": "LOC",
    "org": "ORG", "site": "ORG",
}  # fmt: skip

_FIRMS = (
    "{stem} {legal}", "{stem} {business}", "{invented}{suffix}", "{family} & {partner}",
    "{family} {house}", "{stem} {other}", "{stem}", "University of {place}",
    "{place} {public}", "{saint} {given} {charity}", "{body} {field}", "{letters}",
)  # fmt: skip
_OF_FIRMS = {
    "legal": (
        "Inc", "Inc.", "Ltd", "LLC", "Corp", "Corp.", "GmbH", "AG", "plc", "S.A.", "Group",
        "Holdings", "Co.",
    ),
    "business": (
        "Technologies", "Systems", "Solutions", "Partners", "Bank", "Insurance", "Capital",
        "Industries", "Labs", "Media", "Foods", "Airlines", "Energy", "Logistics", "Pharma",
        "Consulting", "Software", "Networks", "Records", "Motors",
    ),
    "suffix": ("", "", " Inc", " Ltd", " Systems", "soft", "tech", "ly", " Group"),
    "house": ("Group", "LLC", "Inc", "PLC", "Ltd", "and Sons", "Industries"),
    "public": (
        "University", "General Hospital", "Medical Center", "Clinic", "City Council",
        "Police Department", "High School", "Times", "United", "FC", "Chamber of Commerce",
        "Regional Hospital", "School District",
    ),
    "saint": ("St.", "Saint", "St"),
    "charity": ("Hospital", "School", "Medical Center", "Church"),
    "body": (
        "Bank of", "Museum of", "Institute of", "Department of", "Ministry of", "Association of",
    ),
}  # fmt: skip
_PARTNERS = ("Sons", "Co", "Partners")
_FIELDS = ("Health", "Justice", "Technology", "Finance", "Education", "Labor")
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWX"


def _words(name: str) -> list[str]:
    """Lines of a word list beside this file."""
    lines = (_HERE / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("//")]


@dataclass(frozen=True)
class _People:
    given: list[str]
    family: list[str]


def _latin(names: set[str]) -> list[str]:
    """Names in Latin letters, in a fixed order."""
    return sorted(name for name in names if name and ord(name[0]) < 0x250 and len(name) > 1)


def _people_of_the_world() -> list[_People]:
    package = importlib.import_module("faker.providers.person")
    people = []
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        provider = importlib.import_module(f"{package.__name__}.{module}").Provider
        lists = []
        for attributes in (
            ("first_names", "first_names_male", "first_names_female"),
            ("last_names", "last_names_male", "last_names_female"),
        ):
            names: set[str] = set()
            for attribute in attributes:
                values = getattr(provider, attribute, ())
                if not isinstance(values, property):
                    names.update(map(str, values))
            lists.append(_latin(names))
        if len(lists[0]) > 20 and len(lists[1]) > 20:
            people.append(_People(*lists))
            if module in ("en_US", "en_GB", "en_IN", "en_NZ", "en_IE"):
                people += [people[-1]] * 6
    return people


class Generator:
    """Draws labelled texts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.people = _people_of_the_world()
        self.towns = sorted(
            town.title() for town in dictionaries.places()
            if town.isascii() and 3 < len(town) < 22 and town.replace(" ", "").isalpha()
        )  # fmt: skip
        self.cities = _words("cities.txt")
        self.countries = _words("countries.txt")
        self.stems = _words("stems.txt")
        self.templates = _words("templates.txt")
        self.fillers = {
            name: _words(f"{name}.txt") for name in ("role", "thing", "condition", "product")
        }

    def given(self, people: _People) -> str:
        """A given name."""
        return self.random.choice(people.given)

    def family(self, people: _People) -> str:
        """A family name; now and then one that no list has."""
        if self.random.random() < 0.12:
            return self._invented()
        return self.random.choice(people.family)

    def _invented(self) -> str:
        """A name that no list has, of syllables."""
        onset = "b br c ch cr d dr f fr g gr h j k kr l m n p pr r s sch sh st t th tr v w y z"
        pick = self.random.choice
        count = pick((1, 2, 2, 3))
        text = "".join(pick(onset.split()) + pick("aeiouaeiouäöéy") for _ in range(count))
        ends = ("n", "r", "sky", "ton", "er", "man", "ley", "ov", "ez", "ini", "sen", "ski", "", "")
        return (text + pick(ends)).capitalize()

    def full(self, people: _People) -> str:
        """A full name."""
        middle = (
            f" {self.random.choice('ABCDEFGHJKLMNPRSTW')}." if self.random.random() < 0.1 else ""
        )
        second = f"-{self.family(people)}" if self.random.random() < 0.04 else ""
        return f"{self.given(people)}{middle} {self.family(people)}{second}"

    def org(self) -> str:
        """A name of an organisation."""
        pick, people = self.random.choice, self.random.choice(self.people)
        stem, other = pick(self.stems), pick(self.stems)
        invented = self._invented()
        parts: dict[str, Callable[[], str]] = {
            "stem": lambda: stem,
            "other": lambda: other,
            "invented": lambda: invented,
            "family": lambda: self.family(people),
            "given": lambda: self.given(people),
            "place": self.place,
            "partner": lambda: pick((self.family(people), *_PARTNERS)),
            "field": lambda: pick((self.place(), *_FIELDS)),
            "letters": lambda: "".join(self.random.choices(_LETTERS, k=pick((3, 3, 4)))),
        }
        shape = pick(_FIRMS)
        return _SLOT.sub(
            lambda slot: parts[slot[1]]() if slot[1] in parts else pick(_OF_FIRMS[slot[1]]), shape
        )

    def place(self) -> str:
        """A name of a town or region."""
        draw = self.random.random()
        if draw < 0.55:
            return self.random.choice(self.cities)
        return self.random.choice(self.towns)

    def _fill(self, slot: str, people: _People, names: dict[str, str]) -> str:
        pick = self.random.choice
        if slot in self.fillers:
            return pick(self.fillers[slot])
        if slot == "number":
            return str(self.random.randrange(2, 10 ** pick((1, 2, 3, 4, 6))))
        if slot == "date":
            day, month, year = pick(range(1, 29)), pick(range(1, 13)), pick(range(1940, 2027))
            name = pick(("March", "May", "June", "August", "April"))
            return pick(
                (
                    f"{year}-{month:02}-{day:02}",
                    f"{month:02}/{day:02}/{year}",
                    f"{name} {day}, {year}",
                )
            )
        if slot == "country":
            return pick(self.countries)
        if slot in ("city", "region"):
            return self.place()
        if slot in ("org", "site"):
            return self.org()
        given = names.setdefault("given", self.given(people))
        family = names.setdefault("family", self.family(people))
        if slot == "given":
            return given
        if slot == "family":
            return family
        if slot == "reversed":
            return f"{family}, {given}"
        if slot == "initialed":
            return pick((f"{given[0]}. {family}", f"{given[0]}.{given[-1].upper()}. {family}"))
        if slot == "titled":
            title = pick(("Dr.", "Mr.", "Mrs.", "Ms.", "Prof.", "Dr", "Mr", "Mrs", "Herr", "Frau",
                          "Mme", "Sra.", "Sr.", "Judge", "Nurse", "Officer", "Sir"))  # fmt: skip
            return f"{title} {family}"
        if slot == "other":
            return self.full(self.random.choice(self.people))
        return pick((f"{given} {family}", f"{given} {family}", self.full(people)))

    def text(self, templates: list[str] | None = None) -> Labelled:
        """One document: one to three filled templates, now and then in another case."""
        parts, spans, length = [], [], 0
        names: dict[str, str] = {}
        people = self.random.choice(self.people)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            template = self.random.choice(templates or self.templates).replace("\\n", "\n")
            if self.random.random() < 0.5:
                names, people = {}, self.random.choice(self.people)
            behind = 0
            for slot in _SLOT.finditer(template):
                parts.append(template[behind : slot.start()])
                length += len(parts[-1])
                value = self._fill(slot[1], people, names)
                label = "PER" if slot[1] == "other" else _LABELS.get(slot[1])
                if label:
                    spans.append((length, length + len(value), label))
                parts.append(value)
                length += len(value)
                behind = slot.end()
            parts.append(template[behind:] + self.random.choice((" ", " ", "\n", "\n\n")))
            length += len(parts[-1])
        return self.noisy("".join(parts), spans)

    def noisy(self, text: str, spans: list[tuple[int, int, str]]) -> Labelled:
        """The same text in lower case, capitals, or with typing errors; spans keep their place."""
        draw = self.random.random()
        if draw < 0.15 and len(text.lower()) == len(text):
            return text.lower(), spans
        if draw < 0.25 and len(text.upper()) == len(text):
            return text.upper(), spans
        if draw < 0.32:
            return _recased(text, spans, str.lower), spans
        if draw < 0.37:
            return _recased(text, spans, str.upper), spans
        if draw < 0.45:
            kept = list(text)
            for _ in range(max(1, len(kept) // 40)):
                index = self.random.randrange(len(kept) - 1)
                if kept[index].isalpha() and kept[index + 1].isalpha():
                    kept[index], kept[index + 1] = kept[index + 1], kept[index]
            return "".join(kept), spans
        return text, spans


def _recased(text: str, spans: list[tuple[int, int, str]], case: Callable[[str], str]) -> str:
    """The text with only its names in another case; letters that would grow stay."""
    kept = list(text)
    for start, end, _ in spans:
        for index in range(start, end):
            changed = case(kept[index])
            if len(changed) == 1:
                kept[index] = changed
    return "".join(kept)
