"""Finds names of people, places and organisations with a small network of our own.

The artifact, its data, licences and figures: docs/name-model.md. It is data only (ONNX) and read
only if its SHA-256 is the one below.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from strongroom.engines.privacy.discover.text import words
from strongroom.engines.privacy.discover.text.spans import Span
from strongroom.errors import TamperedError

MODEL_SHA256 = "876ce32c2d3459fee81021b13de41aaea9c89393e227c43a5658ef0f04eb1842"
VOCABULARY_SHA256 = "89976e274e79169a2f40dd0fe614d2be62080fed317da9992a9f77607bace6d0"

TYPES = ("person_name", "city", "organization")
"""What the pairs of tags B and I stand for, behind the tag 0 for words of no name."""
PASSAGE_WORDS = 96
_BATCH_WORDS, _LEAST_BATCH_WORDS = 768, 128
"""Words that run together: what they need between two layers stays near the processor."""
_PADDING_RATIO = 1.25
"""Longest passage of a batch that has enough words, by its shortest."""
_LEAST, _LEAST_UNSURE = 0.5, 0.65
"""Least confidence: of people, and of other names, or names without any capital."""
_SENTENCE_ENDS = frozenset(".!?;")

_LOWER_SHAPES = (0, 1, 2, 3, 8, 10, 11, 12, 13, 14)
_NO_WORDS = np.empty((0, words.COLUMNS), dtype=np.int32)
Probabilities = npt.NDArray[np.float32]


def _artifact(name: str, sha256: str) -> bytes:
    content = resources.files(__package__).joinpath("artifact", name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TamperedError(
            f"`{name}` is not the file that was released",
            next_step="install strongroom again from a source you trust",
        )
    return content


class NameModel:
    """The network and its vocabulary. May be used from several threads."""

    def __init__(self, model: bytes, vocabulary: Sequence[str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._reader = words.WordReader(vocabulary)

    def find_all(self, texts: Sequence[str]) -> list[list[Span]]:
        """Spans of names in each text, sorted, not overlapping."""
        seen: dict[str, tuple[int, ...]] = {}
        read = [self._reader.read(text, seen) for text in texts]
        numbers = np.concatenate([split.numbers for split in read]) if read else _NO_WORDS
        passages: list[tuple[int, int]] = []
        first = 0
        for text, split in zip(texts, read, strict=True):
            for start, end in _passages(text, split.spans):
                if end > start and _may_hold_names(numbers[first + start : first + end]):
                    passages.append((first + start, first + end))
            first += len(split.spans)
        probabilities = np.zeros((len(numbers), 1 + 2 * len(TYPES)), dtype=np.float32)
        for group in _groups(passages):
            self._run(numbers, group, probabilities)
        found: list[list[Span]] = []
        first = 0
        for text, split in zip(texts, read, strict=True):
            behind = first + len(split.spans)
            found.append(list(_spans(text, split.spans, probabilities[first:behind])))
            first = behind
        return found

    def _run(
        self, numbers: words.Words, group: list[tuple[int, int]], probabilities: Probabilities
    ) -> None:
        longest = max(end - start for start, end in group)
        padded = np.zeros((len(group), longest, words.COLUMNS), dtype=np.int32)
        present = np.zeros((len(group), longest), dtype=np.float32)
        for row, (start, end) in enumerate(group):
            padded[row, : end - start] = numbers[start:end]
            present[row, : end - start] = 1.0
        (out,) = self._session.run(None, {"numbers": padded, "present": present})
        for row, (start, end) in enumerate(group):
            probabilities[start:end] = out[row, : end - start]


def _may_hold_names(numbers: words.Words) -> bool:
    """False for passages without a capital and without a listed name: logs, code, figures."""
    listed = numbers[:, words.PIECES + 3] & 7
    return bool(listed.any()) or not np.isin(numbers[:, words.PIECES + 2], _LOWER_SHAPES).all()


def _passages(text: str, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Word ranges of at most PASSAGE_WORDS, cut behind a sentence or line where there is one."""
    start, count = 0, len(spans)
    while count - start > PASSAGE_WORDS:
        end = start + PASSAGE_WORDS
        for cut in range(end, start + PASSAGE_WORDS // 2, -1):
            between = text[spans[cut - 1][1] : spans[cut][0]]
            if "\n" in between or (between and text[spans[cut - 1][0]] in _SENTENCE_ENDS):
                end = cut
                break
        yield start, end
        start = end
    yield start, count


def _groups(cuts: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Passages that run together, of like length, so that little is padding."""
    group: list[tuple[int, int]] = []
    shortest = 0
    for cut in sorted(cuts, key=lambda cut: cut[1] - cut[0]):
        length = cut[1] - cut[0]
        is_enough = len(group) * length > _LEAST_BATCH_WORDS
        if group and (
            (len(group) + 1) * length > _BATCH_WORDS
            or (is_enough and length > _PADDING_RATIO * shortest)
        ):
            yield group
            group = []
        if not group:
            shortest = length
        group.append(cut)
    if group:
        yield group


def _spans(
    text: str, places: list[tuple[int, int]], probabilities: Probabilities
) -> Iterator[Span]:
    """Names that the probabilities tell of: the likelier of name and none, then its kind."""
    kinds = probabilities[:, 1::2] + probabilities[:, 2::2]
    likely = kinds.sum(1)
    named = np.flatnonzero(likely >= _LEAST).tolist()
    at = 0
    while at < len(named):
        first = named[at]
        kind = int(kinds[first].argmax())
        last, at = first, at + 1
        while at < len(named) and named[at] == last + 1:
            word = named[at]
            begins = probabilities[word, 1 + 2 * kind] > probabilities[word, 2 + 2 * kind]
            if int(kinds[word].argmax()) != kind or begins:
                break
            last, at = word, at + 1
        start, end = places[first][0], places[last][1]
        confidence = float(likely[first : last + 1].mean())
        name = text[start:end]
        least = _LEAST if kind == 0 and not name.islower() else _LEAST_UNSURE
        if confidence >= least and any(map(str.isalpha, name)):  # figures are no names
            yield Span(start, end, TYPES[kind], min(0.99, confidence), "model")


@lru_cache(maxsize=1)
def name_model() -> NameModel:
    """The shipped model, read once.

    Raises:
        TamperedError: a file of it is not the one that was released.
    """
    vocabulary = _artifact("names-vocabulary.txt", VOCABULARY_SHA256).decode()
    return NameModel(_artifact("names.onnx", MODEL_SHA256), vocabulary.split("\n"))
