"""What the name of a column says."""

import unicodedata
from functools import lru_cache

import re2

from strongroom.engines.privacy.discover.rulebook import Rulebook

_LONGEST_PHRASE = 5
_MAX_HEADER_LENGTH = 200
_UMLAUTS = (("oe", "o"), ("ae", "a"), ("ue", "u"))
_VOWELS = str.maketrans("", "", "aeiou")
LEAST_CONSONANTS = 4

# Words that turn a name, address or number into that of a thing.
_OF_A_THING = frozenset(
    """
    product company file host domain brand event column table model field item category type
    class file folder drug gene species protein feature metric course department team
    organization organisation org project service status code color colour currency region sku
    title song movie book game job process function variable business vendor supplier merchant
    shop store bank school hospital unit device tag label commit branch repository method score
    quantity price percent temp format version marke marque marca merk hersteller fabricant
    fabricante manufacturer maker brand produkt produit producto prodotto produto artikel
    article articulo articolo artigo firma unternehmen societe empresa azienda bedrijf modell
    modele modelo modello kategorie categorie categoria abteilung titel titre titulo titolo
    maschine machine anlage lieferant fournisseur proveedor fornitore leverandor station werk
    fabrik datei fichier archivo register memory mem hex rule template
    """.split()  # noqa: SIM905 # a list of words reads better so
)
_THING_SENSITIVE = frozenset({"person_name", "given_name", "family_name", "city", "username"})
# Words after which the column is about the thing named before, not the thing itself.
_ABOUT = frozenset(
    """
    count flag type kind verified valid id status score length hash num is has category missing
    label group bucket domain provider format source quality
    """.split()  # noqa: SIM905 # a list of words reads better so
)
# Headers that name forms which are not personal: values that look like names do not count there.
_NOT_PERSONAL = frozenset(
    """
    color colour farbe couleur currency product category brand status company sku note notes
    comment comments description title department organization organisation unit model item
    event genre species word term tag label commit branch company name type vendor supplier
    merchant industry sector price quantity score percent epoch timestamp order isbn ean lat
    latitude lon longitude version firmware release build driver fw sw marke marque marca merk
    hersteller fabricant fabricante manufacturer maker produkt produit producto prodotto produto
    artikel article articulo articolo artigo firma unternehmen societe empresa azienda bedrijf
    modell modele modelo modello kategorie categorie categoria abteilung titel titre titulo
    titolo invoice rechnung facture factura fattura bestellung bestellnr commande pedido ordine
    tracking shipment lieferant fournisseur
    """.split()  # noqa: SIM905 # a list of words reads better so
) - {"name", "order"}
# Of dates that spread over a generation and are of works, firms and buildings.
_BEGINNINGS_OF_THINGS = frozenset(
    """
    founded founding established incorporated incorporation published publication release
    released premiere premiered built constructed construction manufactured launch launched
    discovered
    """.split()  # noqa: SIM905 # a list of words reads better so
)


@lru_cache(maxsize=4096)
def words_of(header: str) -> tuple[str, ...]:
    """The words of a column's name: lower case, without accents, split at case and signs."""
    text = unicodedata.normalize("NFKD", header[:_MAX_HEADER_LENGTH].replace("ß", "ss"))
    text = "".join(character for character in text if not unicodedata.combining(character))
    # "dateOfBirth", "patientID2" and "IPAddress" have words too.
    text = re2.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re2.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    return tuple(re2.findall(r"[\pL]+|[0-9]+", text.lower()))


def consonants(word: str) -> str:
    """The word as it is shortened to fit: its first letter, and no vowel behind it."""
    return word[:1] + word[1:].translate(_VOWELS)


def _meanings(words: tuple[str, ...], book: Rulebook) -> tuple[tuple[str, float], ...]:
    """Types that words name together, also where umlauts or vowels are written as in databases."""
    phrase = "".join(words)
    if found := book.phrases.get(phrase):
        return found
    for written, meant in _UMLAUTS:
        if written in phrase and (found := book.phrases.get(phrase.replace(written, meant))):
            return found
    if any(len(word) >= LEAST_CONSONANTS and consonants(word) == word for word in words):
        return book.consonants.get(consonants(phrase), ())
    return ()


def types_named(header: str, book: Rulebook) -> dict[str, float]:
    """Types that a column's name speaks of, with the strength of its word in (0, 1].

    The whole name counts fully; a phrase inside a longer name somewhat less, the later the
    better ("patient phone" is a phone). Words such as "count" after it undo it.
    """
    words = words_of(header)
    while len(words) > 1 and words[-1].isdigit() and not _meanings(words, book):
        words = words[:-1]  # phone_2, but not addr_1
    strengths: dict[str, float] = {}
    told: list[tuple[int, int]] = []
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            end, rest = start + length, words[start + length :]
            # An account number is not the number that a telephone has.
            if any(first <= start and end <= last for first, last in told):
                continue
            if any(word in _ABOUT for word in rest):
                continue
            fit = 1.0 if length == len(words) else (0.9 if not rest else 0.6)
            for name, strength in _meanings(words[start:end], book):
                if strength < 1.0 and length < len(words) and rest:
                    continue
                told.append((start, end))
                strengths[name] = max(strengths.get(name, 0.0), strength * fit)
    if any(word in _OF_A_THING for word in words):
        for name in _THING_SENSITIVE & strengths.keys():
            strengths[name] *= 0.5 if strengths[name] >= 1.0 else 0.0
    return {name: strength for name, strength in strengths.items() if strength > 0.0}


def names_a_thing(header: str) -> bool:
    """True where the column's name speaks of something that is not a person or place."""
    return any(word in _NOT_PERSONAL for word in words_of(header))


def dates_a_thing(header: str) -> bool:
    """True where the column's name speaks of the day on which a thing began."""
    return any(word in _BEGINNINGS_OF_THINGS for word in words_of(header))
