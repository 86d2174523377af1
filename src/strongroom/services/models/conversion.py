"""Turn a scikit-learn model into ONNX, and find out whether the two agree.

Loading the model runs code from its file, so `confined_conversion` runs in a confined process; the
server sees only the report and the ONNX bytes. A conversion counts
as exact when labels are equal and numbers within 1e-5 at every point tried: the model's own
examples, random points in the range of its features, and points beside its decision boundaries.
Points are rounded to 32-bit floats first, for that is what the endpoint's input holds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from strongroom.services.jobs import sandbox
from strongroom.services.models.confined_conversion import FOREIGN_ONNX

_ONNX = "model.onnx"


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What became of a model.

    Attributes:
        onnx: the converted model; None unless it is exact.
        reason: why there is none; empty otherwise.
        kind: `sklearn`, `onnx`, or `other`.
        model_class: the outermost class, for people.
        features: column names in order; empty when the model knows none.
        feature_types: datatype of each feature; empty when unknown.
        classes: labels of a classifier, as text.
        points_tried: how many points were compared.
        largest_difference: between the numbers of both, over all points.
        label_mismatches: points with another label.
        layers: of the sandbox in which this was found out.
    """

    onnx: bytes | None
    reason: str
    kind: str
    model_class: str = ""
    features: tuple[str, ...] = ()
    feature_types: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    points_tried: int = 0
    largest_difference: float = 0.0
    label_mismatches: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    layers: frozenset[str] = frozenset()

    @property
    def is_exact(self) -> bool:
        """The ONNX model may stand for the original."""
        return self.onnx is not None


def convert(
    model: Path | Mapping[str, Path | bytes],
    *,
    limits: sandbox.Limits | None = None,
    required: Collection[str] = sandbox.DEFAULT_REQUIRED,
) -> ConversionReport:
    """Convert a model in the sandbox, and compare.

    Args:
        model: the folder of the model (MLflow's layout, or files), or its files by name; bytes
            stay off the disk.
        limits: for the sandbox; by default 120 s of processor time and 4 GiB.
        required: layers without which nothing is loaded.
    Returns: a report; a model that cannot be converted or is not exact has a `reason`, and is
        served by a confined worker instead.
    Raises: SandboxError when the sandbox cannot be had. Code that fails in it makes a reason.
    """
    if isinstance(model, Path):
        files: Mapping[str, Path | bytes] = {
            path.relative_to(model).as_posix(): path
            for path in sorted(model.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
    else:
        files = model
    limits = limits or sandbox.Limits(cpu_seconds=120, wall_seconds=180)
    try:
        result = sandbox.run(
            "strongroom.services.models.confined_conversion:convert",
            {},
            files_in=files,
            limits=limits,
            required=required,
        )
    except (sandbox.ConfinedError, sandbox.OversteppedError) as error:
        return ConversionReport(None, error.message, "other")
    report = _report(result)
    if report.onnx is not None and (
        any(name.lower().endswith(".onnx") for name in files) or report.onnx in files.values()
    ):
        # Also when hostile code in the sandbox says otherwise.
        return replace(report, onnx=None, reason=FOREIGN_ONNX)
    return report


def _report(result: sandbox.Result) -> ConversionReport:
    """Read what came back; its shape is not to be relied on, for hostile code ran beside it."""
    found = result.output
    try:
        report = ConversionReport(
            onnx=None,
            reason=str(found["reason"])[:500],
            kind=str(found["kind"])[:10],
            model_class=str(found.get("model_class", ""))[:200],
            features=_texts(found.get("features")),
            feature_types=_texts(found.get("feature_types")),
            classes=_texts(found.get("classes")),
            points_tried=int(str(found.get("points_tried", 0))),
            largest_difference=float(str(found.get("largest_difference", 0.0))),
            label_mismatches=int(str(found.get("label_mismatches", 0))),
            versions=dict(zip(_texts(found.get("libraries")), _texts(found.get("versions")),
                              strict=True)),
            layers=result.layers,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return ConversionReport(None, "the sandbox answered out of shape", "other")
    if report.reason:
        return report
    if not result.files.get(_ONNX):
        return ConversionReport(None, "the sandbox returned no model", "other")
    return replace(report, onnx=result.files[_ONNX])


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 100_000:
        raise ValueError
    return tuple(str(item)[:200] for item in value)
