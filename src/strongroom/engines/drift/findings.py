"""What a comparison found: nouns only."""

from dataclasses import dataclass, field
from enum import StrEnum

from strongroom.engines.drift.calibration import Reliability
from strongroom.engines.drift.error_model import ErrorEstimate, RegressionPerformance
from strongroom.engines.drift.estimation import Estimate
from strongroom.engines.drift.multiclass import MulticlassReport
from strongroom.engines.drift.multivariate import Mover, Together
from strongroom.engines.drift.plan import Kind
from strongroom.engines.drift.scores import Performance


class Status(StrEnum):
    """What is said of a column, the gravest first."""

    DRIFTED = "drifted"
    """Surely another distribution, and further away than a threshold."""
    MOVED = "moved"
    """Surely another distribution, but near: as large samples show."""
    STABLE = "stable"
    UNKNOWN = "unknown"
    """Too few rows, or nothing that can be compared."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From what on a change is called one.

    Attributes:
        rate: of false discoveries among the columns.
        jensen_shannon: distance, base 2 (Azure's default).
        wasserstein: in standard deviations of the reference; numbers only (Azure's default).
        psi: population stability index; the usual sign of a change.
        hellinger, kolmogorov_smirnov: for those who want them; by default they decide nothing.
        missing, type_errors, outside, new: growth of a share of the rows.
        attribution: NDCG of importances below which their order has drifted (Azure's default).
        reconstruction: ratio of errors from which the columns together have drifted.
        minimum_rows: values in each sample; fewer are not compared.
    """

    rate: float = 0.05
    jensen_shannon: float = 0.1
    wasserstein: float = 0.1
    psi: float = 0.2
    hellinger: float = 1.0
    kolmogorov_smirnov: float = 1.0
    missing: float = 0.01
    type_errors: float = 0.001
    outside: float = 0.01
    new: float = 0.01
    attribution: float = 0.9
    reconstruction: float = 1.1
    minimum_rows: int = 30


@dataclass(frozen=True, slots=True)
class Measure:
    """One distance; `threshold` is None where it decides nothing."""

    name: str
    value: float
    threshold: float | None

    @property
    def exceeds(self) -> bool:
        """Whether it is at or above its threshold."""
        return self.threshold is not None and self.value >= self.threshold


@dataclass(frozen=True, slots=True)
class QualityChange:
    """A share of bad rows that grew.

    Attributes:
        what: `missing`, `type`, `outside`, `new` or `infinite`.
        exceeds: it grew surely and by more than its threshold.
    """

    what: str
    reference: float
    current: float
    q_value: float
    exceeds: bool


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of both samples by bin, for pictures.

    Attributes:
        labels: of each bin.
        edges: between bins, of numbers; else empty.
        quartiles: of reference and current: first, median, third; of numbers.
    """

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    edges: tuple[float, ...] = ()
    quartiles: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column.

    Attributes:
        values: that were compared, of reference and current.
        q_value: the p-value, adjusted for all columns.
        test: its name and method.
        frequent_new: values that the plan does not list, with a count they do not exceed.
        says: the finding in words.
        is_prediction: it is what the model said, and not what it was told.
        is_label: it is what came true.
    """

    name: str
    kind: Kind
    status: Status
    values: tuple[int, int]
    measures: tuple[Measure, ...] = ()
    p_value: float = 1.0
    q_value: float = 1.0
    test: str = ""
    quality: tuple[QualityChange, ...] = ()
    distribution: Distribution | None = None
    frequent_new: tuple[tuple[str, int], ...] = ()
    says: str = ""
    is_prediction: bool = False
    is_label: bool = False

    def measure(self, name: str) -> float | None:
        """The value of a distance, by its name."""
        return next((one.value for one in self.measures if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the current sample.

    Attributes:
        distances: each column's main one.
        against: rows of the reference that it was compared with: all of them, or with the season
            those of windows like it.
        compared: columns that had enough values for that.
    """

    name: str
    rows: int
    distances: dict[str, float]
    drifted: tuple[str, ...]
    against: int = 0
    compared: int = 0


@dataclass(frozen=True, slots=True)
class SliceFinding:
    """How a part of the rows fares against the rest.

    Attributes:
        slice: as `column = value`.
        metric: what was compared.
        q_value: adjusted for all slices.
        differs: surely, and in a direction that hurts.
    """

    slice: str
    rows: int
    metric: str
    inside: float
    outside: float
    q_value: float
    differs: bool


@dataclass(frozen=True, slots=True)
class ModelReport:
    """How the model does.

    Attributes:
        reference: measured with labels.
        current: measured with labels, where there are any.
        estimate: without labels.
        reliability: of the scores, in reference and current.
        errors: of a regression, measured with labels, in reference and current.
        error_estimate: of a regression, without labels.
        classes: of a classifier of several classes; reliability is that of the chosen one then.
    """

    reference: Performance | None = None
    current: Performance | None = None
    estimate: Estimate | None = None
    reliability: tuple[Reliability | None, Reliability | None] = (None, None)
    slices: tuple[SliceFinding, ...] = ()
    errors: tuple[RegressionPerformance | None, RegressionPerformance | None] = (None, None)
    error_estimate: ErrorEstimate | None = None
    remarks: tuple[str, ...] = ()
    classes: MulticlassReport | None = None


@dataclass(frozen=True, slots=True)
class AttributionDrift:
    """Importances of features then and now.

    Attributes:
        moved: features that changed place: name, place in the reference, place now.
        importances: name, share of all importances in the reference, share now; the largest first.
        method: how they were reckoned; empty where they were given.
    """

    ndcg: float
    drifted: bool
    moved: tuple[tuple[str, int, int], ...]
    says: str
    importances: tuple[tuple[str, float, float], ...] = ()
    method: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of level.

    Attributes:
        detectors: that found it.
        began, noticed: seconds since 1970 UTC, to the minute: where the new level begins, by what
            all values say, and where the first detector alarmed.
        before, after: mean from the change before to this one, and from this to the next; None
            where so few values lie there that a mean could tell of one.
    """

    detectors: tuple[str, ...]
    began: float
    noticed: float
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """Values of a column, or errors of a model, in order of time.

    Attributes:
        left_out: rows without a time or a value.
        levels: time and mean, for a picture.
    """

    name: str
    values: int
    left_out: int
    levels: tuple[tuple[float, float], ...] = ()
    changes: tuple[Change, ...] = ()
    says: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole comparison.

    Attributes:
        rows: of reference and current.
        detectable: the smallest shift of a mean, in standard deviations, that would be found in
            four of five cases.
        series: what detectors found over time.
        remarks: what was odd about the samples.
    """

    rows: tuple[int, int]
    thresholds: Thresholds
    columns: tuple[ColumnDrift, ...]
    together: Together | None = None
    together_says: str = ""
    detectable: float = 0.0
    movers: tuple[Mover, ...] = ()
    windows: tuple[Window, ...] = ()
    model: ModelReport | None = None
    attribution: AttributionDrift | None = None
    classifier: float | None = None
    series: tuple[Series, ...] = ()
    remarks: tuple[str, ...] = ()
    says: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that drifted."""
        return tuple(one for one in self.columns if one.status is Status.DRIFTED)
