"""Whether a written table is what was promised, counted anew from its values.

Shares nothing with the search: no codes, no hierarchy maps, no arrays; groups are counted in
dictionaries from the texts of the table, and distances between distributions are computed on the
tree's edges. What both have wrong must have been thought wrong twice.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from strongroom.errors import InternalError

_SLACK = 1e-7
_MISSING = "(missing)"


@dataclass(frozen=True)
class Promise:
    """What must hold of each group of equal quasi-identifiers.

    Attributes:
        quasi: columns by which rows are grouped.
        k: least rows of a group.
        distinct, entropy, recursive: by sensitive column the l, and (c, l).
        closeness: by sensitive column t and the kind of distance.
        likeness: by sensitive column β, enhanced.
        disclosure: by sensitive column δ.
        orders: by sensitive column the values from low to high, for the ordered distance.
        trees: by sensitive column the names above each value, for the hierarchical distance.
        wholes: by sensitive column how often each value occurs in the whole table.
        k_map: least people of the population in a group; 0 asks nothing.
        presence: of a group's people the least and the largest share that is in the table.
        people: of the population, by what stands for their quasi-identifiers in the table.
        average_risk: groups over rows at most.
        rows: of the whole table, and the share of it that may be missing.
    """

    quasi: tuple[str, ...]
    k: int
    distinct: Mapping[str, int] = field(default_factory=dict)
    entropy: Mapping[str, float] = field(default_factory=dict)
    recursive: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    closeness: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    likeness: Mapping[str, float] = field(default_factory=dict)
    disclosure: Mapping[str, float] = field(default_factory=dict)
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trees: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    wholes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    k_map: int = 0
    presence: tuple[float, float] = (0.0, 1.0)
    people: Mapping["Row", int] = field(default_factory=dict)
    average_risk: float = 1.0
    rows: int = 0
    suppression: float = 1.0

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Columns whose values are counted."""
        asked = (self.distinct, self.entropy, self.recursive, self.closeness, self.likeness,
                 self.disclosure)  # fmt: skip
        return tuple(dict.fromkeys(name for one in asked for name in one))


@dataclass(frozen=True, slots=True)
class Proof:
    """What was counted in the written table.

    Attributes:
        rows, groups: of it.
        smallest: rows of its smallest group.
        measured: the worst value met of each demand on a sensitive column, as `column: demand`.
        failures: demands that do not hold, in words without values.
    """

    rows: int
    groups: int
    smallest: int
    measured: Mapping[str, float]
    failures: tuple[str, ...]

    def require(self) -> None:
        """Raise InternalError where a demand does not hold: nothing may be written then."""
        if self.failures:
            raise InternalError(
                f"the anonymized table failed its verification: {'; '.join(self.failures[:5])}"
            )


Row = tuple[str, ...]


class Verifier:
    """Counts a table piece by piece and holds it against a promise."""

    def __init__(self, promise: Promise) -> None:
        self._promise = promise
        self._sizes: Counter[Row] = Counter()
        self._plain: dict[Row, Row] = {}
        self._values: list[dict[Row, Counter[str]]] = [{} for _ in promise.sensitive]

    def add(self, quasi: Row, sensitive: Row, times: int, plain: Row = ()) -> None:
        """Count rows with these values, which stand as `promise` orders the columns.

        Args:
            plain: the quasi-identifiers as the population's are named; for demands on it.
        """
        self._sizes[quasi] += times
        self._plain[quasi] = plain
        for at, value in enumerate(sensitive):
            self._values[at].setdefault(quasi, Counter())[value] += times

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Count a batch of the written table."""
        promise = self._promise
        names = list(dict.fromkeys((*promise.quasi, *promise.sensitive)))
        at = {name: number for number, name in enumerate(names)}
        quasi = [at[name] for name in promise.quasi]
        sensitive = [at[name] for name in promise.sensitive]
        found = pa.table({name: batch.column(name) for name in names}).group_by(names)
        table = found.aggregate([([], "count_all")])
        columns = [table.column(name).to_pylist() for name in names]
        counts: list[int] = table.column("count_all").to_numpy().tolist()
        for row, times in zip(zip(*columns, strict=True), counts, strict=True):
            self.add(
                tuple(exact_text(row[n]) for n in quasi),
                tuple(value_text(row[n]) for n in sensitive),
                times,
                tuple(value_text(row[n]) for n in quasi) if promise.people else (),
            )

    def proof(self) -> Proof:
        """What was counted, and what of the promise does not hold."""
        promise, sizes = self._promise, self._sizes
        total = sum(sizes.values())
        failures: list[str] = []
        smallest = min(sizes.values(), default=0)
        if not total:
            failures.append("no row is left")
        elif smallest < promise.k:
            failures.append(f"a group has {smallest} rows, not {promise.k}")
        if total > promise.rows:
            failures.append(f"{total - promise.rows} rows are too many")
        if promise.rows - total > promise.suppression * promise.rows + _SLACK:
            failures.append(f"{promise.rows - total} rows are suppressed")
        if total and len(sizes) > promise.average_risk * total + _SLACK:
            failures.append(f"the average risk is {len(sizes) / total:.4f}")
        measured: dict[str, float] = {}
        self._population(measured, failures)
        for at, name in enumerate(promise.sensitive):
            _column(name, list(self._values[at].values()), promise, measured, failures)
        return Proof(total, len(sizes), smallest, measured, tuple(failures))

    def _population(self, measured: dict[str, float], failures: list[str]) -> None:
        """The demands on the people of the population in each group."""
        promise = self._promise
        low, high = promise.presence
        if not promise.k_map and low <= 0 and high >= 1:
            return
        rows: Counter[Row] = Counter()
        for quasi, times in self._sizes.items():
            rows[self._plain[quasi]] += times
        if promise.k_map:
            fewest = min((promise.people.get(group, 0) for group in rows), default=0)
            measured["people in a group"] = fewest
            if fewest < promise.k_map:
                failures.append(f"a group has {fewest} people of the population")
        # A group that nobody of the table is in says that its people are absent.
        shares = [rows[group] / people for group, people in promise.people.items()]
        unknown = any(group not in promise.people for group in rows)
        most = math.inf if unknown else max(shares, default=0.0)
        if high < 1:
            measured["largest presence"] = most
            if most > high + _SLACK:
                failures.append(f"of a group {most:.4f} of the people are in the table")
        if low > 0:
            least = min(shares, default=0.0)
            measured["least presence"] = least
            if least < low - _SLACK:
                failures.append(f"of a group only {least:.4f} of the people are in the table")


def verify_table(batches: Iterable[pa.RecordBatch], promise: Promise) -> Proof:
    """Count a written table, given as batches, and hold it against a promise."""
    verifier = Verifier(promise)
    for batch in batches:
        verifier.add_batch(batch)
    return verifier.proof()


def _column(
    name: str, groups: list[Counter[str]], promise: Promise,
    measured: dict[str, float], failures: list[str],
) -> None:  # fmt: skip
    """The demands on one sensitive column."""

    def demand(words: str, worst: float, holds: bool) -> None:
        measured[f"{name}: {words}"] = worst
        if not holds:
            failures.append(f"`{name}`: {words} is {worst:.6g}")

    if not groups:
        return
    if name in promise.distinct:
        least = min(len(group) for group in groups)
        demand("distinct values", least, least >= promise.distinct[name])
    if name in promise.entropy:
        bits = min(math.exp(_entropy(group)) for group in groups)
        demand("entropy diversity", bits, bits >= promise.entropy[name] * (1 - _SLACK))
    if name in promise.recursive:
        c, length = promise.recursive[name]
        ratio = max(_ratio(group, length) for group in groups)
        demand("recursive ratio", ratio, ratio < c * (1 + _SLACK))
    whole = promise.wholes.get(name, {})
    if name in promise.closeness:
        t, kind = promise.closeness[name]
        far = max(_distance(group, whole, kind, name, promise) for group in groups)
        demand("distance", far, far <= t + _SLACK)
    if name in promise.likeness:
        beta = promise.likeness[name]
        over = max(_excess_gain(group, whole, beta) for group in groups)
        demand("gain", max(_gain(group, whole) for group in groups), over <= _SLACK)
    if name in promise.disclosure:
        worst = max(_log_ratio(group, whole) for group in groups)
        demand("δ-disclosure", worst, worst < promise.disclosure[name] + _SLACK)


def _entropy(group: Counter[str]) -> float:
    total = group.total()
    return -math.fsum(n / total * math.log(n / total) for n in group.values())


def _ratio(group: Counter[str], length: int) -> float:
    ordered = sorted(group.values(), reverse=True)
    tail = sum(ordered[length - 1 :])
    return ordered[0] / tail if tail else math.inf


def _gain(group: Counter[str], whole: Mapping[str, int]) -> float:
    """How much likelier than in the whole table a value is at most, 1 for twice as likely."""
    total, everybody = group.total(), sum(whole.values())
    return max((n / total) / (whole[value] / everybody) - 1 for value, n in group.items())


def _excess_gain(group: Counter[str], whole: Mapping[str, int], beta: float) -> float:
    """By how much the share of a value is larger than it may be."""
    total, everybody = group.total(), sum(whole.values())
    worst = 0.0
    for value, n in group.items():
        before = whole[value] / everybody
        allowed = before * (1 + min(beta, -math.log(before)))
        worst = max(worst, n / total - allowed)
    return worst


def _log_ratio(group: Counter[str], whole: Mapping[str, int]) -> float:
    total, everybody = group.total(), sum(whole.values())
    worst = 0.0
    for value, n in whole.items():
        if n:
            inside = group.get(value, 0)
            if not inside:
                return math.inf
            worst = max(worst, abs(math.log(inside / total) - math.log(n / everybody)))
    return worst


def _distance(
    group: Counter[str], whole: Mapping[str, int], kind: str, name: str, promise: Promise
) -> float:
    """Earth mover's distance of a group to the whole table."""
    total, everybody = group.total(), sum(whole.values())
    extra = {value: group.get(value, 0) / total - n / everybody for value, n in whole.items()}
    if kind == "equal":
        return math.fsum(abs(part) for part in extra.values()) / 2
    if kind == "ordered":
        moved, carried = 0.0, 0.0
        order = promise.orders[name]
        for value in order:
            carried += extra.get(value, 0.0)
            moved += abs(carried)
        return moved / max(len(order) - 1, 1)
    # On a tree with H levels of edges of length 1/(2H) two values are as far apart as the level of
    # the node above both, over H; what crosses an edge is the mass below it that is too much.
    tree = promise.trees[name]
    below: defaultdict[tuple[int, str], float] = defaultdict(float)
    height = 1
    for value, part in extra.items():
        path = tree[value]
        height = max(len(path), 1)
        below[(0, value)] += part
        for level, node in enumerate(path[:-1], 1):
            below[(level, node)] += part
    return math.fsum(abs(part) for part in below.values()) / (2 * height)


def exact_text(value: object) -> str:
    """A quasi-identifier as the text by which rows are told apart: a blank more is another one."""
    return _MISSING if value is None else f"{type(value).__name__} {value!r}"


def value_text(value: object) -> str:
    """A sensitive value as the text by which it is counted."""
    if value is None or value != value:  # NaN
        return _MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value).strip() or _MISSING


def value_counts(batches: Iterable[pa.RecordBatch], name: str) -> dict[str, int]:
    """How often each value of a column occurs, by its text."""
    counts: Counter[str] = Counter()
    for batch in batches:
        found: Any = batch.column(name)
        for entry in found.value_counts().to_pylist():
            counts[value_text(entry["values"])] += entry["counts"]
    return dict(counts)
