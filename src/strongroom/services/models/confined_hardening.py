"""The part of hardening that runs inside a sandbox: rows come in, a model fitted anew goes out.

Called by `hardening`, never outside. No code of the model that is hardened is here: its recipe came
as plain data. Once fitted, the new model answers the requests of `confined_subject`, so that it is
assessed as the old one was. What leaves is ONNX that agreed with it at every point tried.
"""

import io
import json
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.subject import Sample
from strongroom.engines.robustness.assessment.table import features_of, sample_of, space_of
from strongroom.engines.robustness.hardening.columns import ColumnRecipe
from strongroom.engines.robustness.hardening.stating import REFERENCES, read
from strongroom.engines.robustness.hardening.ways import Hardened, Options, Way, fit_again
from strongroom.errors import StrongroomError, ValidationError
from strongroom.services.models import comparison, confined_conversion, confined_subject
from strongroom.services.models.confined_recipe import RECIPE_NAME

Answer = tuple[dict[str, Any], bytes]
ONNX_NAME, MLMODEL_NAME = "model.onnx", "MLmodel"
_FOLDS = 3


def start(argument: dict[str, Any], folder: Path) -> Callable[[dict[str, Any], bytes], Answer]:
    """Begin; each call of what is returned does one step.

    Args:
        argument: `plan`, its text; `way`; `options`; `recipe`, as stated, a reference's name, or
            empty; `features` and `classes` of the model; `seed`.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    return _Hardening(argument, folder).answer


class _Hardening:
    """The steps: `rows` brings a piece of an Arrow stream, `harden` works, `file` gives a file."""

    def __init__(self, argument: dict[str, Any], folder: Path) -> None:
        self._argument = argument
        self._plan = parse_plan(str(argument["plan"]))
        self._folder = folder
        self._stream = io.BytesIO()
        self._files: dict[str, bytes] = {}
        self._subject: Callable[[dict[str, Any], bytes], Answer] | None = None

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._stream.write(body)
                return {}, b""
            case "harden":
                try:
                    return self._harden(), b""
                except StrongroomError as error:
                    return {"failed": error.message, "next_step": error.next_step}, b""
                except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
                    # A library's words may quote a value of a row: they stay here.
                    said = f"the recipe cannot be fitted on these rows ({type(error).__name__})"
                    return {"failed": said, "next_step": "take a reference recipe"}, b""
            case "file":
                return {}, self._files[str(head["name"])]
            case _:
                assert self._subject is not None  # noqa: S101 # asked for after `harden`
                return self._subject(head, body)

    def _harden(self) -> dict[str, Any]:
        begun = time.process_time()
        self._stream.seek(0)
        with pa.ipc.open_stream(self._stream) as reader:
            table = reader.read_all()
        self._stream = io.BytesIO()
        recipe, sample, said = _recipe(table, self._plan, self._argument)
        options = msgspec.convert(self._argument["options"], Options)
        way = Way(self._argument["way"])
        made = fit_again(
            way, recipe, sample.rows, sample.labels, options, seed=int(self._argument["seed"])
        )
        names = [one.name for one in made.recipe.kept]
        report = self._convert(made, names, sample)
        self._subject = confined_subject.answering(made.model.pipeline, names)
        return {
            "files": sorted(self._files), "says": [*said, *made.says], "details": made.details,
            "recipe": made.recipe.stated.document(), "is_own": recipe.is_own,
            "features": names, "rows": len(sample), "seconds": time.process_time() - begun,
            "points": report["points_tried"], "difference": report["largest_difference"],
        }  # fmt: skip

    def _convert(self, made: Hardened, names: list[str], sample: Sample) -> dict[str, Any]:
        model = made.model.pipeline
        kinds = ["BYTES" if one.levels else "FP32" for one in made.recipe.kept]
        classes = [str(one) for one in model.classes_.tolist()]
        about = {"features": names, "feature_types": kinds, "classes": classes}
        report, converted = confined_conversion.exactly_converted(model, about, self._folder)
        if report["reason"]:
            raise ValidationError(
                f"the new model cannot leave the sandbox as ONNX: {report['reason']}",
                next_step="take another recipe: forest, boosting or logistic",
            )
        _require_alike(made, converted, sample)
        self._files = {
            ONNX_NAME: converted,
            MLMODEL_NAME: _mlmodel(names, kinds).encode(),
            RECIPE_NAME: json.dumps(made.recipe.stated.document()).encode(),
        }
        return report


def _recipe(
    table: pa.Table, plan: Plan, argument: dict[str, Any]
) -> tuple[ColumnRecipe, Sample, list[str]]:
    """The recipe over these rows, the rows, and what a person should know of both."""
    features = features_of(table, plan.columns, tuple(argument["features"]))
    space = space_of([table], features, plan)
    classes = tuple(argument["classes"])
    sample, _ = sample_of(table, space, features, plan.columns, classes, whole_only=False)
    fills = bool(np.isnan(sample.rows).any())
    if len(sample.labels) == 0 or len(np.unique(sample.labels)) < len(classes):
        raise ValidationError(
            "the rows to train on have no label, or lack one of the model's classes",
            next_step="name the label; leave fewer rows out",
        )
    asked = argument["recipe"]
    if isinstance(asked, dict) and (stated := read(asked)) is not None:
        return ColumnRecipe(stated, space, classes, fills=fills), sample, []
    offered = {
        name: ColumnRecipe(one, space, classes, fills=fills)
        for name, one in REFERENCES.items()
        if asked in ("", None, name) or isinstance(asked, dict)
    }
    shares = {name: _left_out_accuracy(one, sample, argument) for name, one in offered.items()}
    best = max(shares, key=lambda name: shares[name])
    said = [f"The model does not say how it was fitted: a {best} took its place."]
    if asked == best:
        said = [f"A {best} was asked for in the place of the model's own recipe."]
    return offered[best], sample, said


def _left_out_accuracy(recipe: ColumnRecipe, sample: Sample, argument: dict[str, Any]) -> float:
    """Of one fold left out; 1 where there is no choice."""
    if argument["recipe"]:
        return 1.0
    seed = int(argument["seed"])
    out = np.random.default_rng(seed).permutation(len(sample)) % _FOLDS == 0
    model = recipe.fit(sample.rows[~out], sample.labels[~out], seed)
    return float((model(sample.rows[out]).argmax(axis=1) == sample.labels[out]).mean())


def _require_alike(made: Hardened, converted: bytes, sample: Sample) -> None:
    """The ONNX form answers the training rows too as the model does.

    They are rounded to 32-bit floats first, as for all that the endpoint takes.
    """
    values = made.recipe.values(sample.rows)
    columns: list[Any] = []
    for place, one in enumerate(made.recipe.kept):
        column = values[:, place] if isinstance(values, np.ndarray) else values[one.name].to_numpy()
        columns.append(column if one.levels else column.astype(np.float32))
    rounded = made.recipe.framed(columns)
    expected = made.model.pipeline.predict_proba(rounded)
    _, found = comparison.run_onnx(converted)(columns)
    difference = float(np.abs(expected - np.asarray(found)).max())
    if not difference <= comparison.TOLERANCE:
        raise ValidationError(
            f"the ONNX form of the new model differs by {difference:.2g} on training rows",
            next_step="take another recipe: forest, boosting or logistic",
        )


def _mlmodel(names: list[str], kinds: list[str]) -> str:
    """What MLflow calls a model's description: so names and types of the inputs stay known."""
    import yaml

    inputs = [
        {"name": name, "type": "string" if kind == "BYTES" else "float", "required": True}
        for name, kind in zip(names, kinds, strict=True)
    ]
    signature = {"inputs": json.dumps(inputs)}
    return str(yaml.safe_dump({"flavors": {"onnx": {"data": ONNX_NAME}}, "signature": signature}))
