"""Turns trained weights into the artifact: `python -m training.names.export --help`.

The graph is written by hand, of plain ONNX operators: tables as 8-bit integers with one scale a
column, other weights as 16-bit floats. The same weights give the same bytes.
"""
# ruff: noqa: T201 # prints the hashes

import argparse
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from training.names.network import DILATIONS, MEAN_BEHIND, TAGS

from strongroom.engines.privacy.discover.text import words

_OPSET = 17
_FIRST_FOREIGN = 0x250
"""The first letter beyond extended Latin."""
Weights = dict[str, npt.NDArray[np.float32]]


class _Graph:
    """Nodes and constants of the graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: npt.NDArray[np.float32]) -> str:
        half = self.constant(f"{name}.half", value.astype(np.float16))
        return self.add("Cast", [half], name, to=TensorProto.FLOAT)

    def table(self, name: str, value: npt.NDArray[np.float32], indices: str) -> str:
        """Rows of a table of 8-bit integers, as floats."""
        scale = np.maximum(np.abs(value).max(0), 1e-6) / 127
        rows = self.constant(f"{name}.rows", np.rint(value / scale).astype(np.int8))
        picked = self.add("Gather", [rows, indices], f"{name}.picked", axis=0)
        floats = self.add("Cast", [picked], f"{name}.floats", to=TensorProto.FLOAT)
        return self.add(
            "Mul", [floats, self.constant(f"{name}.scale", scale.astype(np.float32))], name
        )

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def linear(self, name: str, source: str, weights: Weights) -> str:
        """A product with a matrix, and its bias."""
        product = self.product(name, source, weights[f"{name}.weight"].T)
        bias = self.weight(f"{name}.bias", weights[f"{name}.bias"])
        return self.add("Add", [product, bias], f"{name}.out")

    def product(self, name: str, source: str, matrix: npt.NDArray[np.float32]) -> str:
        """A product with a matrix."""
        return self.add(
            "MatMul", [source, self.weight(f"{name}.weight", matrix)], f"{name}.product"
        )


def _word_vectors(graph: _Graph, weights: Weights, kept: list[int]) -> str:
    """What is known of each word by itself: rows of the tables, side by side."""
    columns = ["numbers_of_pieces", "beginning", "ending", "shape", "list", "gap"]
    sizes = graph.constant("sizes", np.array([words.PIECES, 1, 1, 1, 1, 1], np.int64))
    graph.nodes.append(helper.make_node("Split", ["numbers", sizes], columns, axis=2))
    axis = graph.constant("axis", np.array([2], np.int64))
    pieces = graph.table("pieces", weights["pieces.weight"][kept], "numbers_of_pieces")
    parts = graph.constant("parts", np.array([1, words.PIECES - 1], np.int64))
    graph.nodes.append(helper.make_node("Split", [pieces, parts], ["first", "rest"], axis=2))
    joined = [
        graph.add("Squeeze", ["first", axis], "first_piece"),
        graph.add("ReduceSum", ["rest", axis], "rest_pieces", keepdims=0),
    ]
    for name, column in (
        ("beginnings", "beginning"), ("endings", "ending"), ("shapes", "shape"),
        ("lists", "list"), ("gaps", "gap"),
    ):  # fmt: skip
        index = graph.add("Squeeze", [column, axis], f"{column}.flat")
        joined.append(graph.table(name, weights[f"{name}.weight"], index))
    return graph.add("Concat", joined, "joined", axis=2)


def _convolution(graph: _Graph, weights: Weights, index: int, state: str, row: str) -> str:
    """A convolution, added to the state that it reads.

    As a product of three shifted copies: three times faster in ONNX Runtime than its Conv.
    """
    name, dilation = f"convolutions.{index}", DILATIONS[index]
    pads = graph.constant(f"{name}.pads", np.array([0, dilation, 0, 0, dilation, 0], np.int64))
    padded = graph.add("Pad", [state, pads], f"{name}.padded")
    shifted = []
    for step in range(3):
        start = graph.constant(f"{name}.start{step}", np.array([step * dilation], np.int64))
        # The end counts from behind; beyond any length means up to the end.
        stop = (step - 2) * dilation if step < 2 else 2**62
        end = graph.constant(f"{name}.end{step}", np.array([stop], np.int64))
        shifted.append(graph.add("Slice", [padded, start, end, row], f"{name}.shifted{step}"))
    stacked = graph.add("Concat", shifted, f"{name}.stacked", axis=2)
    kernel = np.concatenate(list(weights[f"{name}.weight"].transpose(2, 1, 0)), axis=0)
    change = graph.product(name, stacked, kernel)
    bias = graph.weight(f"{name}.bias", weights[f"{name}.bias"])
    change = graph.add("Relu", [graph.add("Add", [change, bias], f"{name}.conv")], f"{name}.relu")
    state = graph.add("Add", [state, change], f"{name}.sum")
    return graph.add("Mul", [state, "mask"], f"{name}.state")


def _passage(graph: _Graph, weights: Weights, state: str, row: str) -> str:
    """The state with the mean of its passage."""
    total = graph.add("ReduceSum", [state, row], "total", keepdims=1)
    count = graph.add("ReduceSum", ["mask", row], "count", keepdims=1)
    one = graph.constant("one", np.array(1.0, np.float32))
    mean = graph.add("Div", [total, graph.add("Max", [count, one], "at_least_one")], "mean")
    whole = graph.add("Relu", [graph.linear("whole", mean, weights)], "whole")
    return graph.add("Mul", [graph.add("Add", [state, whole], "with_whole"), "mask"], "passage")


def build(weights: Weights, kept: list[int]) -> onnx.ModelProto:
    """The graph; `kept`: rows of the piece table that stay, in order."""
    graph = _Graph()
    joined = _word_vectors(graph, weights, kept)
    graph.add("Unsqueeze", ["present", "axis"], "mask")
    mixed = graph.add("Relu", [graph.linear("mix", joined, weights)], "mixed")
    state = graph.add("Mul", [mixed, "mask"], "state")
    row = graph.constant("row", np.array([1], np.int64))
    for index in range(len(DILATIONS)):
        state = _convolution(graph, weights, index, state, row)
        if index == MEAN_BEHIND:
            state = _passage(graph, weights, state, row)
    graph.add("Softmax", [graph.linear("tag", state, weights)], "probabilities", axis=2)
    shape = ["passages", "words"]
    made = helper.make_graph(
        graph.nodes,
        "names",
        [
            helper.make_tensor_value_info("numbers", TensorProto.INT32, [*shape, words.COLUMNS]),
            helper.make_tensor_value_info("present", TensorProto.FLOAT, shape),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [*shape, len(TAGS)])],
        graph.constants,
        doc_string="Names of people, places and organisations; see docs/name-model.md.",
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="strongroom"
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def kept_pieces(pieces: list[str]) -> list[int]:
    """Rows of the table that stay: the first two stand for the unknown and for padding.

    Pieces of scripts that folding does not reach, signs and marks of the vocabulary are left out.
    """
    return [0, 1] + [
        index
        for index, piece in enumerate(pieces)
        if index > 1
        and piece.strip("#")
        and not piece.startswith("[")
        and all(ord(character) < _FIRST_FOREIGN for character in piece)
    ]


def main() -> None:
    """Write the model and its vocabulary, and print their hashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="network.pt of train.py")
    parser.add_argument(
        "--vocabulary",
        type=Path,
        required=True,
        help="vocab.txt of the model that the pieces come from",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the artifact")
    asked = parser.parse_args()
    state = torch.load(asked.weights, weights_only=True, map_location="cpu")
    weights = {name: value.float().numpy() for name, value in state.items()}
    pieces = asked.vocabulary.read_text("utf-8").split("\n")[: len(weights["pieces.weight"])]
    kept = kept_pieces(pieces)
    asked.out.mkdir(parents=True, exist_ok=True)
    model = build(weights, kept).SerializeToString(deterministic=True)
    vocabulary = "\n".join(["", " ", *(pieces[index] for index in kept[2:])]).encode()
    for name, content in (("names.onnx", model), ("names-vocabulary.txt", vocabulary)):
        (asked.out / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
