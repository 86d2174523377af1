"""An inclusion proof drawn: the path from an entry up to the signed root, as SVG and as rows."""

from dataclasses import dataclass

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import leaf_hash, node_hash
from strongroom.engines.ledger.receipt import Receipt

ROW_HEIGHT = 44
STEP_WIDTH = 36
LABEL_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One level of the path, from the leaf up.

    Attributes:
        sibling: hash that the proof brings, hex.
        is_left: whether it stands left of the path.
        result: hash of the two together, hex.
    """

    sibling: str
    is_left: bool
    result: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A node of the drawing.

    Attributes:
        label: what a reader is told about it.
        kind: `path`, `sibling` or `root`.
        is_left: whether the label stands left of it.
    """

    x: int
    y: int
    label: str
    kind: str
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """An edge of the drawing."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class ProofView:
    """All that a page needs to show a proof; made only of a receipt that holds."""

    index: int
    leaf: str
    steps: tuple[Step, ...]
    checkpoint: Checkpoint
    key: str
    width: int
    height: int
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]

    @property
    def root(self) -> str:
        """The signed root, hex."""
        return self.checkpoint.root.hex()


def view(receipt_text: str, key_text: str) -> ProofView:
    """Verify the receipt and lay out its proof.

    Raises:
        TamperedError: the receipt does not hold under the key.
    """
    receipt = Receipt.parse(receipt_text)
    checkpoint = receipt.verify([LogKey.parse(key_text)])
    steps = _steps(receipt, checkpoint.size)
    dots, lines, width = _drawn(receipt.index, steps)
    return ProofView(
        receipt.index, leaf_hash(receipt.entry).hex(), steps, checkpoint, key_text, width,
        ROW_HEIGHT * (len(steps) + 1), dots, lines,
    )  # fmt: skip


def _steps(receipt: Receipt, size: int) -> tuple[Step, ...]:
    """The path of RFC 9162, section 2.1.3.2, with the hash at each level."""
    place, last = receipt.index, size - 1
    current = leaf_hash(receipt.entry)
    steps = []
    for sibling in receipt.proof:
        is_left = bool(place & 1) or place == last
        if is_left:
            current = node_hash(sibling, current)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        place, last = place >> 1, last >> 1
        steps.append(Step(sibling.hex(), is_left, current.hex()))
    return tuple(steps)


def _drawn(index: int, steps: tuple[Step, ...]) -> tuple[tuple[Dot, ...], tuple[Line, ...], int]:
    """The root on top; each level down, the path and its sibling part to both sides."""
    above, pairs = 0, []
    for step in reversed(steps):
        here, beside = (above + 1, above - 1) if step.is_left else (above - 1, above + 1)
        pairs.append((above, here, beside, step.sibling[:8]))
        above = here
    places = [0, *(place for pair in pairs for place in pair[1:3])]
    leftmost = min(places)

    def x_of(place: int) -> int:
        return LABEL_WIDTH + (place - leftmost) * STEP_WIDTH

    def y_of(depth: int) -> int:
        return depth * ROW_HEIGHT + ROW_HEIGHT // 2

    dots = [Dot(x_of(0), y_of(0), "root", "root")]
    lines = []
    for depth, (parent, here, beside, sibling) in enumerate(pairs, start=1):
        lines += [
            Line(x_of(parent), y_of(depth - 1), x_of(place), y_of(depth))
            for place in (here, beside)
        ]
        dots.append(Dot(x_of(beside), y_of(depth), sibling, "sibling", beside < here))
        label = f"entry {index}" if depth == len(pairs) else ""
        dots.append(Dot(x_of(here), y_of(depth), label, "path", here < beside))
    return tuple(dots), tuple(lines), 2 * LABEL_WIDTH + (max(places) - leftmost) * STEP_WIDTH
