"""Values that stand for nothing: what people and programs write where a value is missing."""

from collections import Counter

_WORDS = frozenset(
    r"""
    - -- --- . .. ... ? ?? ??? _ * ** *** / xx xxx xxxx n/a na n.a. n.a n/d nd n.d. nan null nil
    none (none) [none] (null) [null] <null> <na> \n #n/a #null! #value! missing unknown
    unbekannt undefined undef unspecified tbd tba inconnu desconocido desconhecido sconosciuto
    onbekend nieznany okänd ukjent ukendt tuntematon bilinmiyor k.a. k.a entfällt empty blank
    unavailable
    """.split()  # noqa: SIM905 # a list of words reads better so
) | {"not available", "not applicable", "not specified", "not provided", "no data", "keine angabe"}
_LOOKED_AT = 12
_LEAST_SHARE, _TIMES_THE_NEXT, _LEAST_OTHERS = 0.1, 25, 20


def without_placeholders(counted: Counter[str]) -> Counter[str]:
    """The values that say something; all of them where nothing else would be left.

    Left out are the usual words, and one value that comes far more often than any other of many,
    such as `1900-01-01` or `00000`: it would hide what the rest is.
    """
    # Few values come often enough to matter; the others need no look.
    often = [value for value, _ in counted.most_common(_LOOKED_AT) if value.lower() in _WORDS]
    kept = counted.copy()
    for value in often:
        del kept[value]
    if len(kept) > _LEAST_OTHERS:
        (first, most), (_, next_most) = kept.most_common(2)
        if most >= _LEAST_SHARE * kept.total() and most >= _TIMES_THE_NEXT * next_most:
            del kept[first]
    return kept or counted
