"""Labels that come late, joined with their predictions by id."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from strongroom.engines.drift.scores import ScoreState
from strongroom.errors import TooLargeError

MAX_WAITING = 1_000_000
MAX_KNOWN = 2_000_000


@dataclass(slots=True)
class JoinCounts:
    """What happened so far.

    Attributes:
        joined: labels that found their prediction.
        unmatched: labels without one: never made, forgotten, or not from here.
        repeated: labels that came again with the same value; they count once.
        contradicted: labels that came again with another value; the first one stays.
        repeated_ids: predictions under an id that was there; the first one stays.
        forgotten: predictions that were dropped before a label came.
    """

    joined: int = 0
    unmatched: int = 0
    repeated: int = 0
    contradicted: int = 0
    repeated_ids: int = 0
    forgotten: int = 0


@dataclass(slots=True)
class _Waiting:
    """One prediction."""

    window: int
    score: float
    predicted: bool
    label: bool | None = None


class LabelJoin:
    """Predictions that wait for their labels, and the counts by window that both go into.

    Ids are kept as keyed hashes of 16 bytes, scores as numbers, and nothing else of a row. What is
    older than the oldest window is forgotten, as is the oldest where too many wait.
    """

    def __init__(self, key: bytes, *, most: int = MAX_WAITING, threshold: float = 0.5) -> None:
        """`key`: a secret of at least 16 bytes, so that ids cannot be guessed from what is kept."""
        self._name = _Names(key)
        self._most, self._threshold = most, threshold
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()
        self.windows: dict[int, ScoreState] = {}
        self.counts = JoinCounts()

    def predicted(
        self, window: int, rows: Iterable[tuple[str, float]], *, threshold: float | None = None
    ) -> None:
        """Predictions of a window: id and score in [0, 1] each."""
        least = self._threshold if threshold is None else threshold
        state = self.windows.setdefault(window, ScoreState())
        for id_, score in rows:
            name = self._name(id_)
            if name in self._waiting:
                self.counts.repeated_ids += 1
                continue
            state.update([score], threshold=least)
            if 0 <= score <= 1:
                self._waiting[name] = _Waiting(window, float(score), score >= least)
        while len(self._waiting) > self._most:
            self._drop(next(iter(self._waiting)))

    def labelled(self, rows: Iterable[tuple[str, bool]]) -> None:
        """Labels: id and whether it came true. Each goes to the window of its prediction."""
        for id_, label in rows:
            waiting = self._waiting.get(self._name(id_))
            if waiting is None:
                self.counts.unmatched += 1
            elif waiting.label is None:
                waiting.label = bool(label)
                self.counts.joined += 1
                state = self.windows[waiting.window]
                state.label(waiting.score, predicted=waiting.predicted, label=bool(label))
            elif waiting.label == bool(label):
                self.counts.repeated += 1
            else:
                self.counts.contradicted += 1

    def forget_before(self, window: int) -> None:
        """Drop windows before one, and the predictions in them."""
        for name in [one for one, kept in self._waiting.items() if kept.window < window]:
            self._drop(name)
        for old in [one for one in self.windows if one < window]:
            del self.windows[old]

    def _drop(self, name: bytes) -> None:
        if self._waiting.pop(name).label is None:
            self.counts.forgotten += 1

    def remarks(self) -> tuple[str, ...]:
        """What was odd about the labels, in words."""
        return join_remarks(self.counts)


class _Names:
    """Ids become keyed hashes of 16 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the key must have at least 16 bytes")
        self._key = key[:64]

    def __call__(self, id_: str) -> bytes:
        return hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16,
                               key=self._key).digest()  # fmt: skip


class KnownLabels:
    """Labels that are there before their predictions are read: the join of `LabelJoin` for a file.

    By the same rules: of two labels for one id the first stays, and of two rows with one id the
    first gets the label.
    """

    def __init__(self, key: bytes, *, most: int = MAX_KNOWN) -> None:
        """`key`: as for `LabelJoin`; `most`: ids that are kept."""
        self._name, self._most = _Names(key), most
        self._labels: dict[bytes, object] = {}
        self._met: set[bytes] = set()
        self.counts = JoinCounts()

    def add(self, rows: Iterable[tuple[str, object]]) -> None:
        """Labels: id and label. Raises: TooLargeError: they are of more than `most` ids."""
        for id_, label in rows:
            name = self._name(id_)
            if name not in self._labels:
                if len(self._labels) >= self._most:
                    raise TooLargeError(f"there are labels of more than {self._most:,} ids")
                self._labels[name] = label
            elif self._labels[name] == label:
                self.counts.repeated += 1
            else:
                self.counts.contradicted += 1

    def of(self, ids: Iterable[str | None]) -> list[object]:
        """The label of each row; None where there is none, or the row has no id."""
        found: list[object] = []
        for id_ in ids:
            name = None if id_ is None else self._name(id_)
            if name is None or name in self._met:
                self.counts.repeated_ids += name is not None
                found.append(None)
                continue
            self._met.add(name)
            label = self._labels.get(name)
            self.counts.joined += label is not None
            found.append(label)
        return found

    def remarks(self) -> tuple[str, ...]:
        """What was odd about the labels, in words, when all rows have been asked for."""
        unmatched = len(self._labels) - self.counts.joined
        return join_remarks(replace(self.counts, unmatched=unmatched))


def join_remarks(counts: JoinCounts) -> tuple[str, ...]:
    """What was odd about a join, in words."""
    told = (
        (counts.unmatched, "labels have no prediction"),
        (counts.repeated, "labels came more than once and count once"),
        (counts.contradicted, "labels contradict an earlier one, which stays"),
        (counts.repeated_ids, "predictions have an id that was there before"),
        (counts.forgotten, "predictions were forgotten before their label came"),
    )
    return tuple(f"{count:,} {words}" for count, words in told if count)
