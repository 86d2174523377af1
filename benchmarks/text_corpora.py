"""Labelled texts of our own: technology and disguised spelling, made from a seed.

Names come from Faker's lists, templates are ours. The finder was tuned on seed 1; other seeds
are for reporting.
"""
# ruff: noqa: E501, PLW0108 # templates on one line; lambdas draw anew each time

import random
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Any

from faker import Faker


@dataclass(frozen=True)
class Document:
    """A text and its labelled spans: start, end (exclusive), label."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


_TECHNOLOGY = (
    "{stamp} INFO auth: user {USERNAME} logged in from {IP}",
    "{stamp} ERROR mail: could not deliver to {EMAIL}: mailbox full",
    "{stamp} WARN dhcp: lease for {MAC} expired, last seen {IP}",
    "export AWS_ACCESS_KEY_ID={AWS}",
    "DATABASE_URL=postgres://app:{WORD}@db.internal:5432/main  # owner {PERSON}",
    'api_key = "{SECRET}"',
    "Authorization: Bearer {JWT}",
    "GET {URL} 200 from {IP}",
    "commit 3f2a by {PERSON} <{EMAIL}>: fix race in queue worker",
    "Ticket opened by {PERSON}: VPN drops on laptop {MAC}. Call back {PHONE}.",
    "Assignee: {PERSON}\nReporter: {PERSON}\nServer: {IP}",
    "password: {PASSWORD} (rotate before {DATE})",
    "Incident review with {PERSON} and {PERSON} on {DATE}; dashboard at {URL}",
    '{{"user": "{USERNAME}", "email": "{EMAIL}", "ip": "{IP}"}}',
    "customer card {CARD} was logged in clear by service checkout",
    "Refund to IBAN {IBAN} for {PERSON}",
    "ssh {USERNAME_SSH}@{IP} failed: permission denied",
    "The deployment finished in 42 s with 12 pods and 3 warnings.",
    "Upgrade Kubernetes from 1.27.3 to 1.28.0 and restart the ingress.",
    "Build 20240817.3 passed 1,204 tests; coverage 91.4 percent.",
)
_PLAIN = (
    "My e-mail is {EMAIL}, please write soon.",
    "Call me at {PHONE} after six.",
    "SSN: {SSN}",
    "My social is {SSN} and my card is {CARD}.",
    "Contact {PERSON} at {EMAIL} or {PHONE}.",
    "Account holder {PERSON}, IBAN {IBAN}.",
    "Server {IP} belongs to {PERSON}.",
    "Patient {PERSON}, born {DATE}, phone {PHONE}.",
    "Send the card number {CARD} to {EMAIL}.",
    "Nothing personal in this sentence about the weather.",
)


class _Values:
    """Draws values of each label."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.faker: Any = Faker(["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT"])
        self.faker.seed_instance(seed)

    def draw(self, label: str) -> str:
        faker, chance = self.faker, self.chance
        american: Any = faker["en_US"]
        german: Any = faker["de_DE"]

        def number() -> int:
            return chance.randrange(200, 990)

        made: dict[str, Callable[[], str]] = {
            "PERSON": lambda: f"{faker.first_name()} {faker.last_name()}",
            "EMAIL": lambda: american.email(),
            "IP": lambda: faker.ipv4(),
            "MAC": faker.mac_address,
            "URL": lambda: f"https://{american.domain_name()}/{american.word()}/{number()}",
            "PHONE": lambda: chance.choice(
                (f"({number()}) {number()}-{chance.randrange(1000, 9999)}",
                 f"+1 {number()} {number()} {chance.randrange(1000, 9999)}",
                 f"{number()}-{number()}-{chance.randrange(1000, 9999)}")),
            "SSN": lambda: f"{chance.randrange(100, 660)}-{chance.randrange(10, 99)}-{chance.randrange(1000, 9999)}",
            "CARD": lambda: american.credit_card_number("visa16"),
            "IBAN": lambda: german.iban(),
            "DATE": lambda: faker.date_object().strftime(chance.choice(("%Y-%m-%d", "%m/%d/%Y", "%d %B %Y"))),
            "USERNAME": lambda: american.user_name(),
            "USERNAME_SSH": lambda: american.user_name(),
            "SECRET": lambda: "".join(chance.choices(ascii_letters + digits, k=32)),
            "PASSWORD": lambda: "".join(chance.choices(ascii_letters + digits + "!#%", k=12)),
            "AWS": lambda: "AKIA" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16)),
            "JWT": lambda: "eyJhbGciOiJIUzI1NiJ9.eyJ" + "".join(chance.choices(ascii_letters, k=30)) + ".x" + "".join(chance.choices(ascii_letters, k=40)),
            "WORD": lambda: "".join(chance.choices(ascii_letters, k=10)),
            "stamp": lambda: "",
        }  # fmt: skip
        return made[label]()


_LABELS = {"AWS": "SECRET", "JWT": "SECRET", "PASSWORD": "SECRET", "CARD": "CREDIT_CARD"}
_UNLABELLED = frozenset({"stamp", "WORD", "USERNAME_SSH"})


def _filled(template: str, values: _Values, disguise: Callable[[str, str], str]) -> Document:
    text, spans, rest = "", [], template.replace("{{", "\x01").replace("}}", "\x02")
    while "{" in rest:
        before, _, behind = rest.partition("{")
        label, _, rest = behind.partition("}")
        text += before
        value = values.draw(label)
        if label not in _UNLABELLED:
            value = disguise(value, label)
            spans.append((len(text), len(text) + len(value), _LABELS.get(label, label)))
        text += value
    return Document((text + rest).replace("\x01", "{").replace("\x02", "}"), tuple(spans))


def technology(count: int, seed: int) -> list[Document]:
    """Logs, configuration, tickets."""
    values = _Values(seed)
    return [
        _filled(values.chance.choice(_TECHNOLOGY), values, lambda value, _: value)
        for _ in range(count)
    ]


_LOOK_ALIKE = str.maketrans(
    "aeopcxyAEOPCTHK",
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0410\u0415\u041e\u0420\u0421\u0422\u041d\u041a",
)
_WIDE = {code: chr(code + 0xFEE0) for code in range(0x21, 0x7F)}


class _Disguise:
    """Writes values as people do who want no filter to see them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def __call__(self, value: str, label: str) -> str:
        pick = self.chance.random()
        if pick < 0.25:
            return value
        if pick < 0.4:
            return value.translate(_LOOK_ALIKE)
        if pick < 0.5:
            return value.translate(_WIDE)
        if pick < 0.65:  # signs that nobody sees
            at = self.chance.randrange(1, len(value))
            return value[:at] + self.chance.choice("\u200b\u200d\u00ad\u2060") + value[at:]
        if label == "EMAIL":
            sign, dot = self.chance.choice(
                ((" at ", " dot "), (" [at] ", " [dot] "), ("(at)", "(dot)"), (" @ ", " . "))
            )
            return value.replace("@", sign).replace(".", dot)
        if label in ("SSN", "CARD", "PHONE"):
            if pick < 0.8:
                return value.replace("-", self.chance.choice((" ", ".", " - ", "\u2013")))
            return (
                value.replace("0", "O").replace("1", "l")
                if label != "CARD"
                else " ".join(value[i : i + 4] for i in range(0, len(value), 4))
            )
        if label == "PERSON":
            return value.upper() if pick < 0.85 else value.lower()
        return value


def disguised(count: int, seed: int) -> list[Document]:
    """Sentences whose values are written to escape a filter."""
    values = _Values(seed)
    disguise = _Disguise(values.chance)
    return [_filled(values.chance.choice(_PLAIN), values, disguise) for _ in range(count)]
