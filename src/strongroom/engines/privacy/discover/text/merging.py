"""One list of spans out of many proposals: the surest win, parts of what is found go."""

from bisect import bisect_left
from collections.abc import Iterable

from strongroom.engines.privacy.discover.text.spans import Proposal

_NAMES = frozenset({"person_name", "city", "country", "organization"})
_LONG = 60
"""Characters beyond which a longer span is no surer."""


def _rank(span: Proposal) -> tuple[float, int]:
    # Names are guessed where forms are known: at equal confidence forms come first.
    start, end, name, confidence, _ = span
    length = min(_LONG, end - start)
    if name in _NAMES:
        confidence -= 0.05
    return confidence + 0.002 * length, length


def merged(text: str, spans: Iterable[Proposal]) -> list[Proposal]:
    """Spans of `text` that do not overlap, sorted by place.

    Of two that overlap the surer stays, a longer one being a little surer. A web address is cut
    around the e-mail addresses and numbers in its query, which say more than it does.
    """
    kept: list[Proposal] = []
    group: list[Proposal] = []
    behind = 0
    for span in sorted(spans):
        if span[0] < behind:
            group.append(span)
            if span[1] > behind:
                behind = span[1]
            continue
        if len(group) == 1:
            kept.append(group[0])
        elif group:
            kept += _chosen(text, group)
        group = [span]
        behind = span[1]
    return kept + (group if len(group) < 2 else _chosen(text, group))


def _chosen(text: str, group: list[Proposal]) -> list[Proposal]:
    """What stays of spans that overlap, each with some other."""
    if len(group) == 2:
        one, two = group
        if one[2] != "url" and two[2] != "url":
            return [one if _rank(one) >= _rank(two) else two]
    starts: list[int] = []
    kept: list[Proposal] = []
    for span in sorted(group, key=_rank, reverse=True):
        start, end, name, _, _ = span
        if name == "url":
            continue
        # `kept` never overlaps itself: only the last that starts before our end can reach us.
        at = bisect_left(starts, end)
        if at and kept[at - 1][1] > start:
            continue
        place = bisect_left(starts, start)
        starts.insert(place, start)
        kept.insert(place, span)
    for address in group:
        if address[2] == "url":
            for piece in _around(text, address, kept, starts):
                at = bisect_left(starts, piece[0])
                starts.insert(at, piece[0])
                kept.insert(at, piece)
    return kept


def _around(
    text: str, address: Proposal, kept: list[Proposal], starts: list[int]
) -> list[Proposal]:
    """What of a web address the spans leave, without the bare names of its parameters."""
    begin, behind_address, name, confidence, source = address
    first, behind_last = bisect_left(starts, begin), bisect_left(starts, behind_address)
    inside = [span[:2] for span in kept[max(0, first - 1) : behind_last] if span[1] > begin]
    pieces: list[Proposal] = []
    behind = begin
    for start, end in [*inside, (behind_address, behind_address)]:
        is_bare = behind > begin and text[start - 1] in "=&"
        if start > behind and not is_bare:
            pieces.append((behind, start, name, confidence, source))
        behind = max(behind, end)
    return pieces
