"""Trains the name model: `python -m training.names.train --help`; see docs/name-model.md."""
# ruff: noqa: S311, T201 # its chance must be repeatable; it prints its progress

import argparse
import math
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from training.names import corpora
from training.names.generate import Generator, Labelled
from training.names.network import TAGS, NameNetwork, read_safetensors, reduced

from strongroom.engines.privacy.discover.text import words

SEED = 20261126
PASSAGE = 96
"""Words of a passage, at most."""
TABLE_WIDTH = 96
PIECES_READ = 30_522
"""Entries of the vocabulary that the pieces come from."""
RATE = 2e-3
Passage = tuple[words.Words, npt.NDArray[np.int64]]


def tagged(document: Labelled, reader: words.WordReader) -> Passage:
    """Numbers and tags of the words of a document."""
    text, spans = document
    split = reader.read(text)
    tags = np.zeros(len(split.spans), dtype=np.int64)
    for start, end, label in spans:
        begun = False
        for index, (s, e) in enumerate(split.spans):
            if s < end and e > start:
                tags[index] = TAGS.index(("I-" if begun else "B-") + label)
                begun = True
    return split.numbers, tags


def passages(document: Labelled, reader: words.WordReader) -> list[Passage]:
    """A document in passages of at most PASSAGE words."""
    numbers, tags = tagged(document, reader)
    return [
        (numbers[at : at + PASSAGE], tags[at : at + PASSAGE]) for at in range(0, len(tags), PASSAGE)
    ]


def forgetful(
    numbers: words.Words, tags: npt.NDArray[np.int64], chance: np.random.Generator
) -> words.Words:
    """Without what the lists say for some of the words: names in no list must be found too."""
    changed = numbers.copy()
    named = tags > 0
    drop = chance.random(len(tags)) < np.where(named, 0.4, 0.1)
    column = words.PIECES + 3
    changed[drop, column] &= 8
    return changed


def batches(data: list[Passage], size: int, chance: random.Random | None) -> list[list[Passage]]:
    """Passages of like length together, in random order."""
    order = sorted(data, key=lambda p: len(p[1]) + (chance.random() * 8 if chance else 0))
    groups = []
    group: list[Passage] = []
    for passage in order:
        if group and (len(group) + 1) * len(passage[1]) > size:
            groups.append(group)
            group = []
        group.append(passage)
    groups.append(group)
    if chance:
        chance.shuffle(groups)
    return groups


def stacked(
    group: list[Passage], chance: np.random.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers, tags and presence of passages, filled up to the longest."""
    longest = max(len(tags) for _, tags in group)
    numbers = np.zeros((len(group), longest, words.COLUMNS), dtype=np.int64)
    tags = np.full((len(group), longest), -100, dtype=np.int64)
    for row, (n, t) in enumerate(group):
        numbers[row, : len(t)] = forgetful(n, t, chance) if chance else n
        tags[row, : len(t)] = t
    present = torch.tensor(tags >= 0, dtype=torch.float32)
    return torch.tensor(numbers), torch.tensor(tags), present


def spans_of(tags: list[int]) -> set[tuple[int, int, str]]:
    """Spans in words that tags describe; an I without its B begins one."""
    found, start, kind = set(), 0, ""
    for index, tag in enumerate([*tags, 0]):
        name = TAGS[tag]
        if kind and (name[0] != "I" or name[2:] != kind):
            found.add((start, index, kind))
            kind = ""
        if name != "O" and not kind:
            start, kind = index, name[2:]
    return found


def measure(network: NameNetwork, data: list[Passage]) -> dict[str, float]:
    """F1 by label, exact spans."""
    right, said, true = Counter[str](), Counter[str](), Counter[str]()
    with torch.no_grad():
        for group in batches(data, 4096, None):
            numbers, tags, present = stacked(group, None)
            best = network(numbers, present).argmax(-1)
            for row in range(len(group)):
                length = int(present[row].sum())
                a, b = spans_of(best[row, :length].tolist()), spans_of(tags[row, :length].tolist())
                for _, _, kind in a:
                    said[kind] += 1
                for _, _, kind in b:
                    true[kind] += 1
                for _, _, kind in a & b:
                    right[kind] += 1
    return {
        kind: round(2 * right[kind] / max(1, said[kind] + true[kind]), 3)
        for kind in ("PER", "LOC", "ORG")
    } | {"PER recall": round(right["PER"] / max(1, true["PER"]), 3)}


class Data:
    """The corpora, tokenized."""

    def __init__(self, folder: Path, reader: words.WordReader) -> None:
        self.reader, self.generator = reader, Generator(SEED)
        self.chance = random.Random(SEED + 1)

        def read(name: str) -> list[tuple[str, Labelled]]:
            return list(corpora.documents(folder / name))

        self.tweets = [d for _, d in read("wnut17_train.jsonl")]
        records = read("piianon_clinical_en.jsonl") + read("piianon_legal_en.jsonl")
        self.records = [corpora.consistent(d) for i, d in records if corpora.is_trained_on(i)]
        self.held_out = {
            "tweets": self._passages([d for _, d in read("wnut17_dev.jsonl")]),
            "records": self._passages([d for i, d in records if not corpora.is_trained_on(i)]),
            "synthetic": self._passages([d for _, d in read("presidio_synth_v2.jsonl")]),
        }

    def _passages(self, documents: list[Labelled]) -> list[Passage]:
        return [p for d in documents for p in passages(d, self.reader) if len(p[1])]

    def epoch(self, generated: int, records: int) -> list[Passage]:
        """Fresh passages: real tweets, the same about others, generated texts, records."""
        chance, generator = self.chance, self.generator
        documents = [generator.noisy(*d) if chance.random() < 0.3 else d for d in self.tweets]
        named = [d for d in self.tweets if d[1]]
        documents += [corpora.swapped(d, generator, chance) for d in named for _ in range(2)]
        documents += [generator.text() for _ in range(generated)]
        documents += [
            corpora.swapped(d, generator, chance) if chance.random() < 0.7 else d
            for d in chance.sample(self.records, min(records, len(self.records)))
        ]
        return self._passages(documents)


def train(
    data: Data, table: npt.NDArray[np.float32], out: Path, epochs: int, generated: int
) -> NameNetwork:
    """The network that is shipped, saved after each epoch."""
    network = NameNetwork(table)
    kept = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(kept, lr=RATE, weight_decay=0.02)
    began, numpy_chance = time.time(), np.random.default_rng(SEED)
    for epoch in range(epochs):
        network.train()
        groups = batches(data.epoch(generated, 400), 2048, data.chance)
        total = 0.0
        for step, group in enumerate(groups):
            share = (epoch + step / len(groups)) / epochs
            # Warm up over a twentieth, then fall along a cosine (Loshchilov and Hutter 2017).
            falling = 0.5 * (1 + math.cos(math.pi * share))
            for part in optimizer.param_groups:
                part["lr"] = RATE * min(1.0, share * 20 + 0.05) * falling
            numbers, tags, present = stacked(group, numpy_chance)
            scores = network(numbers, present)
            loss = functional.cross_entropy(scores.flatten(0, 1), tags.flatten(), ignore_index=-100)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        network.eval()
        figures = {name: measure(network, held) for name, held in data.held_out.items()}
        seconds = time.time() - began
        print(f"{epoch}: loss {total / len(groups):.4f}, {seconds:.0f} s, {figures}", flush=True)
        torch.save(network.state_dict(), out / "network.pt")
    return network


def main() -> None:
    """Train and save; `export.py` turns the result into the artifact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--corpora", type=Path, required=True, help="folder of the labelled corpora"
    )
    parser.add_argument(
        "--minilm", type=Path, required=True, help="model.safetensors and vocab.txt"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for network.pt")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--generated", type=int, default=4000, help="texts an epoch")
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    vocabulary = (asked.minilm / "vocab.txt").read_text("utf-8").split("\n")[:PIECES_READ]
    data = Data(asked.corpora, words.WordReader(vocabulary))
    arrays = read_safetensors(asked.minilm / "model.safetensors")
    table = reduced(arrays["embeddings.word_embeddings.weight"], TABLE_WIDTH)
    train(data, table, asked.out, asked.epochs, asked.generated)


if __name__ == "__main__":
    main()
