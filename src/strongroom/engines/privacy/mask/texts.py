"""Running text with what was found in it replaced, each find by the rule of its type.

What the finder misses stays in clear: a text masked so is less safe than a redacted one, by the
leak rate of the finder (docs/privacy.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.text.spans import Span
from strongroom.engines.privacy.mask.generalizing import (
    climb_text,
    generalize_date_texts,
    prefix_of,
)
from strongroom.engines.privacy.mask.hiding import REDACTED, hash_text, normal, partial_text
from strongroom.engines.privacy.mask.keys import require_key, subkey
from strongroom.engines.privacy.mask.policy import MaskPolicy, MaskRule, Method
from strongroom.engines.privacy.mask.standins.maker import Maker
from strongroom.engines.privacy.mask.standins.registry import is_suited, stand_in
from strongroom.engines.privacy.mask.tokens import MAX_VALUE_CHARACTERS, TokenVault

DATE_TYPES = frozenset({"date_of_birth", "date", "date_time"})
PREFIX_TYPES = frozenset({"postcode"})
_HASH_DIGITS = 16
_MAX_REMEMBERED = 1 << 16


class Finder(Protocol):
    """What finds personal data in texts: `discover.text.finder.TextFinder`."""

    def find_all(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """The spans of each text, in order."""
        ...

    def role_of(self, type_name: str) -> Role:
        """What a type of a span does to privacy."""
        ...


def replace_spans(text: str, spans: Iterable[Span], replace: Callable[[str, str], str]) -> str:
    """`text` with each span replaced; what lies between spans stays as it is.

    Args:
        text: any.
        spans: within the text; those that overlap become one `[redacted]`.
        replace: (the text of a span, its type) → what stands there instead.

    Raises: ValueError: a span lies outside the text.
    """
    made, at = [], 0
    for start, end, new in _replacements(text, spans, replace):
        made += [text[at:start], new]
        at = end
    return "".join([*made, text[at:]])


def replace_in_pieces(
    pieces: Sequence[str], spans: Iterable[Span], replace: Callable[[str, str], str]
) -> list[str]:
    """As `replace_spans`, of the text that `pieces` make together.

    What stands for a span goes into the piece where it begins; nothing of it stays in the others.
    """
    replaced = _replacements("".join(pieces), spans, replace)
    made, begin, following = [], 0, 0
    for piece in pieces:
        end, at, kept = begin + len(piece), begin, []
        while following < len(replaced) and replaced[following][0] < end:
            start, stop, new = replaced[following]
            if start >= begin:
                kept += [piece[at - begin : start - begin], new]
            at = min(stop, end)
            if stop > end:
                break  # the rest of it lies in the next piece
            following += 1
        made.append("".join([*kept, piece[at - begin :]]))
        begin = end
    return made


def _replacements(
    text: str, spans: Iterable[Span], replace: Callable[[str, str], str]
) -> list[tuple[int, int, str]]:
    """Where something stands instead, in order and apart, and what."""
    found: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if not 0 <= span.start <= span.end <= len(text):
            raise ValueError("a span lies outside its text")
        if found and span.start < found[-1][1]:
            start, end, _ = found[-1]
            found[-1] = (start, max(end, span.end), "")
        else:
            found.append((span.start, span.end, span.type))
    return [
        (start, end, replace(text[start:end], type_name) if type_name else REDACTED)
        for start, end, type_name in found
    ]


def label(type_name: str) -> str:
    """What stands for a redacted span: `[person_name]`."""
    return f"[{type_name}]"


class TextMasker:
    """Masks texts by a policy. Not for several threads."""

    def __init__(
        self,
        policy: MaskPolicy,
        key: bytes,
        finder: Finder,
        *,
        tokens: TokenVault | None = None,
        min_confidence: float = 0.0,
    ) -> None:
        """Take what it works with.

        Args:
            policy: its rules for spans, types and roles count.
            key: at least 32 bytes, of one purpose.
            finder: finds the spans.
            tokens: where tokens come from; without it, their spans are redacted.
            min_confidence: finds below it stay in the text, in [0, 1].
        """
        require_key(key)
        self._policy = policy
        self._key = key
        self._finder = finder
        self._tokens = tokens
        self._min_confidence = min_confidence
        self._remembered: dict[tuple[str, str], str] = {}
        self._makers: dict[str, Maker] = {}

    def mask(self, text: str) -> str:
        """One text, masked."""
        return self.mask_all([text])[0]

    def mask_all(self, texts: Sequence[str]) -> list[str]:
        """Texts, masked, in their order."""
        found, replace = self._found(texts)
        return [
            replace_spans(text, spans, replace) for text, spans in zip(texts, found, strict=True)
        ]

    def mask_pieces(self, pieces: Sequence[str]) -> list[str]:
        """The pieces of one text, such as what stands between tags, masked as the whole."""
        [spans], replace = self._found(["".join(pieces)])
        return replace_in_pieces(pieces, spans, replace)

    def mask_value(self, text: str, type_name: str, rule: MaskRule | None = None) -> str:
        """A text that is a value of a type as a whole; by `rule` instead of the policy's."""
        if rule is None:
            rule = self._rule(type_name)
        if rule.method is not Method.TOKENIZE:
            return self._made(text, type_name, rule)
        value = normal(text)
        if self._tokens is None or not 0 < len(value) <= MAX_VALUE_CHARACTERS:
            return label(type_name)
        return self._tokens.tokens_for(rule.domain or type_name, [value], rule.form)[0]

    def _found(self, texts: Sequence[str]) -> tuple[list[list[Span]], Callable[[str, str], str]]:
        """The spans of each text, and what replaces one."""
        found = [
            [span for span in spans if span.confidence >= self._min_confidence]
            for spans in self._finder.find_all(texts)
        ]
        if len(found) != len(texts):
            raise ValueError("the finder skipped a text")
        tokens = self._tokens_of(texts, found)

        def replace(text: str, type_name: str) -> str:
            return self._replacement(text, type_name, tokens)

        return found, replace

    def _tokens_of(
        self, texts: Sequence[str], found: Sequence[Sequence[Span]]
    ) -> Mapping[tuple[str, str], str]:
        """(type, value) → token, for all spans that get one; asked for in few calls."""
        if self._tokens is None:
            return {}
        wanted: dict[tuple[str, str], dict[str, set[str]]] = {}
        for text, spans in zip(texts, found, strict=True):
            for span in spans:
                rule = self._rule(span.type)
                if rule.method is Method.TOKENIZE:
                    place = (rule.domain or span.type, rule.form)
                    values = wanted.setdefault(place, {}).setdefault(span.type, set())
                    value = normal(text[span.start : span.end])
                    if len(value) <= MAX_VALUE_CHARACTERS:
                        values.add(value)
        drawn = {}
        for (domain, form), by_type in wanted.items():
            for type_name, values in by_type.items():
                ordered = sorted(values)
                given = self._tokens.tokens_for(domain, ordered, form)
                drawn.update(
                    {(type_name, value): it for value, it in zip(ordered, given, strict=True)}
                )
        return drawn

    def _rule(self, type_name: str) -> MaskRule:
        return self._policy.span_rule(type_name, self._finder.role_of(type_name))

    def _replacement(self, text: str, type_name: str, tokens: Mapping[tuple[str, str], str]) -> str:
        rule = self._rule(type_name)
        if rule.method is Method.TOKENIZE:
            return tokens.get((type_name, normal(text)), label(type_name))
        place = (type_name, text)
        if (kept := self._remembered.get(place)) is not None:
            return kept
        made = self._made(text, type_name, rule)
        if len(self._remembered) < _MAX_REMEMBERED:
            self._remembered[place] = made
        return made

    def _made(self, text: str, type_name: str, rule: MaskRule) -> str:
        domain = rule.domain or type_name
        match rule.method:
            case Method.KEEP:
                return text
            case Method.DROP:
                return ""
            case Method.PARTIAL:
                return partial_text(text, rule)
            case Method.HASH:
                return f"[{type_name}:{hash_text(text, self._key, domain)[:_HASH_DIGITS]}]"
            case Method.STAND_IN if is_suited(type_name):
                if type_name not in self._makers:
                    self._makers[type_name] = Maker(subkey(self._key, "stand-in"), rule)
                return stand_in(self._makers[type_name], type_name, domain)(text)
            case Method.GENERALIZE:
                return self._generalized(text, type_name, rule)
            case _:
                return label(type_name)

    def _generalized(self, text: str, type_name: str, rule: MaskRule) -> str:
        if rule.hierarchy:
            return climb_text(text, self._policy.hierarchies[rule.hierarchy], rule.level)
        if type_name in DATE_TYPES:
            year = generalize_date_texts(pa.array([text]), rule)[0].as_py()
            return label(type_name) if year is None else str(year)
        if type_name in PREFIX_TYPES:
            return prefix_of(text, rule.prefix)
        try:
            number = float(text)
        except ValueError:
            return label(type_name)
        if not abs(number) < 1e15:  # beyond it, floats skip whole numbers
            return label(type_name)
        if 0 < rule.top <= number:
            return f"{rule.top:g}"
        return f"{number // rule.bin_width * rule.bin_width:g}"
