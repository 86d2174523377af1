"""Reads labelled texts and scores a finder on them, as `benchmarks/text.py` does."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import text as benchmark
from benchmarks.text_corpora import Document

from strongroom.engines.privacy.discover.text.finder import TextFinder


def read(path: Path, every: int) -> list[Document]:
    """Every `every`-th document of the half that nothing was trained on."""
    return benchmark.read(path, held_out=True)[::every]


def measure(
    finder: TextFinder, documents: Sequence[Document], only: str = ""
) -> tuple[float, float]:
    """Typed F1 and leak rate."""

    def run(texts: Sequence[str]) -> list[list[tuple[int, int, str]]]:
        return [
            [(s.start, s.end, benchmark.LABELS.get(s.type, "")) for s in spans]
            for spans in finder.find_all(texts)
        ]

    score = benchmark.measure(run, documents)
    assert not benchmark.UNTYPED & score.by_label.keys()
    return score.by_label[only] if only else (score.f1, score.leak)
