"""The network that finds names, and the table that it starts from."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from strongroom.engines.privacy.discover.text import words

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
WIDTH = 160
DILATIONS = (1, 2, 4, 1)
MEAN_BEHIND = 1
"""The convolution behind which the mean of the passage comes in."""


def read_safetensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Arrays of a safetensors file: a JSON header behind its length, then the numbers."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    body = memoryview(raw)[8 + size :]
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            arrays[name] = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
    return arrays


class NameNetwork(nn.Module):
    """Four convolutions over words, with the mean of the passage; some 0.4 M weights + table."""

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.pieces = nn.Embedding.from_pretrained(torch.tensor(table), freeze=True)
        self.beginnings = nn.Embedding(words.AFFIX_BUCKETS, 24)
        self.endings = nn.Embedding(words.AFFIX_BUCKETS, 24)
        self.shapes = nn.Embedding(words.SHAPES, 16)
        self.lists = nn.Embedding(words.LISTS, 16)
        self.gaps = nn.Embedding(words.GAPS, 4)
        size = 2 * table.shape[1] + 24 + 24 + 16 + 16 + 4
        self.mix = nn.Linear(size, WIDTH)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.whole = nn.Linear(WIDTH, WIDTH)
        self.tag = nn.Linear(WIDTH, len(TAGS))
        self.dropout = nn.Dropout(0.3)

    def forward(self, numbers: Tensor, present: Tensor) -> Tensor:
        """Scores (passages, words, tags) of words (passages, words, COLUMNS)."""
        pieces = self.pieces(numbers[..., : words.PIECES])
        joined = torch.cat(
            [
                pieces[..., 0, :], pieces[..., 1:, :].sum(2),
                self.beginnings(numbers[..., words.PIECES]),
                self.endings(numbers[..., words.PIECES + 1]),
                self.shapes(numbers[..., words.PIECES + 2]),
                self.lists(numbers[..., words.PIECES + 3]),
                self.gaps(numbers[..., words.PIECES + 4]),
            ], -1,
        )  # fmt: skip
        mask = present.unsqueeze(-1)
        state = functional.relu(self.mix(self.dropout(joined))) * mask
        for index, convolution in enumerate(self.convolutions):
            change = convolution(state.transpose(1, 2)).transpose(1, 2)
            state = (state + functional.relu(self.dropout(change))) * mask
            if index == MEAN_BEHIND:
                mean = state.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1.0)
                state = (state + functional.relu(self.whole(mean))) * mask
        scores: Tensor = self.tag(self.dropout(state))
        return scores


def reduced(table: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """The table's first `width` principal components, scaled to a spread of 1 in the first."""
    centred = table - table.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    kept = centred @ vectors[:, ::-1][:, :width]
    result: npt.NDArray[np.float32] = (kept / math.sqrt(float(kept.var()))).astype(np.float32) * 0.5
    return result
