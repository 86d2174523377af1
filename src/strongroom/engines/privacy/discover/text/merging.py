"""One list of spans out of many proposals: the surest win, parts of what is found go."""

from bisect import bisect_left
from collections.abc import Iterable

from strongroom.engines.privacy.discover.text.spans import Span

_NAMES = frozenset({"person_name", "city", "country", "organization"})


def _rank(span: Span) -> tuple[float, int]:
    # Names are guessed where forms are known: at equal confidence forms come first.
    length = min(span.end - span.start, 60)
    return (span.confidence - (0.05 if span.type in _NAMES else 0.0) + 0.002 * length, length)


def merged(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans of `text` that do not overlap, sorted by place.

    Of two that overlap the surer stays, a longer one being a little surer. A web address is cut
    around the e-mail addresses and numbers in its query, which say more than it does.
    """
    kept: list[Span] = []
    group: list[Span] = []
    behind = 0
    for span in sorted(spans):
        if span.start >= behind and group:
            kept += group if len(group) == 1 else _chosen(text, group)
            group = []
        group.append(span)
        behind = max(behind, span.end)
    return kept + (group if len(group) < 2 else _chosen(text, group))


def _chosen(text: str, group: list[Span]) -> list[Span]:
    """What stays of spans that overlap, each with some other."""
    starts: list[int] = []
    kept: list[Span] = []
    for span in sorted(group, key=_rank, reverse=True):
        if span.type == "url":
            continue
        # `kept` never overlaps itself: only the last that starts before our end can reach us.
        at = bisect_left(starts, span.end)
        if at and kept[at - 1].end > span.start:
            continue
        place = bisect_left(starts, span.start)
        starts.insert(place, span.start)
        kept.insert(place, span)
    for address in group:
        if address.type == "url":
            for piece in _around(text, address, kept, starts):
                at = bisect_left(starts, piece.start)
                starts.insert(at, piece.start)
                kept.insert(at, piece)
    return kept


def _around(text: str, address: Span, kept: list[Span], starts: list[int]) -> list[Span]:
    """What of a web address the spans leave, without the bare names of its parameters."""
    first, behind_last = bisect_left(starts, address.start), bisect_left(starts, address.end)
    inside = [span for span in kept[max(0, first - 1) : behind_last] if span.end > address.start]
    pieces: list[Span] = []
    behind = address.start
    for span in [*inside, Span(address.end, address.end, "", 0.0, "")]:
        is_bare = behind > address.start and text[span.start - 1] in "=&"
        if span.start > behind and not is_bare:
            pieces.append(
                Span(behind, span.start, address.type, address.confidence, address.source)
            )
        behind = max(behind, span.end)
    return pieces
