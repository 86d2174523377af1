"""Which language a text is written in, of those whose context words the finder knows.

By its commonest words: the seven languages share few, a sentence holds several, and a list of
them can be read and checked. Trigram or model-based libraries know more languages, but answer
for texts too short to tell. All forms and lists run on every text whatever its language.
"""

import re
from collections import Counter
from collections.abc import Iterable

UNKNOWN = "unknown"
NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "nl": "Dutch", "pt": "Portuguese",
}  # fmt: skip
_LOOKED_AT = 4_000
"""Characters at the start of a text that are looked at."""
_LEAST_WORDS, _LEAST_SHARE, _LEAST_LEAD = 3, 0.12, 1.5

_COMMON = {
    "en": """
        the and of to is that it for was with be this have are not on you at by from or an they
        we she her his will has been would there their what which if when
    """,
    "de": """
        der die das und ist nicht ein eine mit auf für den dem von zu im des sich auch wird
        wurde sind er sie wir ich als aus bei nach über einen einer haben hat oder bitte
    """,
    "fr": """
        le la les des et est une un que qui dans pour pas sur avec au du ce il elle nous vous je
        sont été être cette plus par mais ou ont aux leur chez
    """,
    "es": """
        el la los las de y que en es un una por con para se del al su no más como fue ha está
        este esta pero sus le lo muy usted ser tiene
    """,
    "it": """
        il la di che e è un una per non con del della si dei le gli da al sono nel alla ha come
        più anche questo questa ma lo è stato delle
    """,
    "nl": """
        de het een en van is dat niet op te zijn voor met die aan er om ook als bij maar wordt
        werd naar uit heeft hij zij wij ik deze dit door
    """,
    "pt": """
        o a os as de e que do da em um uma para com não por no na se dos das mais foi ao como
        seu sua é está pelo pela são você mas ou
    """,
}  # fmt: skip
_LANGUAGES = {
    word: tuple(sorted(name for name, words in _COMMON.items() if word in words.split()))
    for words in _COMMON.values()
    for word in words.split()
}
_WORD = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str:
    """Two letters (ISO 639-1: en, de, fr, es, it, nl, pt), or `unknown`.

    Known where at least three of its commonest words stand in the first few thousand
    characters, an eighth of all words are such, and no other language comes near.
    """
    words = _WORD.findall(text[:_LOOKED_AT].lower())
    weights: dict[str, float] = {}
    hits: Counter[str] = Counter()
    for word in words:
        names = _LANGUAGES.get(word, ())
        for name in names:
            weights[name] = weights.get(name, 0.0) + 1.0 / len(names)
            hits[name] += 1
    if not weights:
        return UNKNOWN
    (best, weight), *others = sorted(weights.items(), key=lambda item: -item[1])[:2]
    if hits[best] < _LEAST_WORDS or hits[best] < _LEAST_SHARE * len(words):
        return UNKNOWN
    if others and weight < _LEAST_LEAD * others[0][1]:
        return UNKNOWN
    return best


def languages_of(texts: Iterable[str]) -> dict[str, float]:
    """Language → share of the texts that are in it, in (0, 1], the most frequent first.

    Texts whose language is not known count, and are not named.
    """
    counts = Counter(language_of(text) for text in texts)
    looked_at = counts.total()
    known = [(name, count) for name, count in counts.most_common() if name != UNKNOWN]
    return {name: count / looked_at for name, count in known}
