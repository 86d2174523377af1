"""The part of a conversion that runs inside the sandbox: load, convert, compare.

Called by `conversion.convert` through the sandbox, never in the server: loading a model runs code
from its file.
"""

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strongroom.services.models import comparison

_ONNX = "model.onnx"
ADDITIVE_ENDING = ".additive.json"
FOREIGN_ONNX = "the model came as ONNX: what was not converted here runs confined"

# Datatypes of the Open Inference Protocol for the types of an MLflow signature.
_DATATYPES = {
    "double": "FP32",
    "float": "FP32",
    "integer": "INT64",
    "long": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
}


def convert(argument: dict[str, Any], folder: Path) -> dict[str, Any]:  # noqa: ARG001 # shape
    """Load, convert and compare. Returns the fields of a report; leaves `model.onnx` in `out`."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    place = folder / "in"
    about = describe(place)
    if about["kind"] == "onnx":
        return _check_onnx(place, about)
    if about["kind"] == "additive":
        return _additive(place, about, folder / "out" / _ONNX)
    if about["kind"] != "sklearn":
        return {**about, "reason": "only scikit-learn models can be converted"}
    model = load(place)
    about |= _describe_model(model, about)
    report, converted = exactly_converted(model, about, place)
    if not report["reason"]:
        (folder / "out" / _ONNX).write_bytes(converted)
    return report


def exactly_converted(
    model: Any,  # noqa: ANN401 # any model
    about: dict[str, Any],
    place: Path,
) -> tuple[dict[str, Any], bytes]:
    """The fields of a report, and the ONNX form; empty where it is not exact, with a `reason`.

    Args:
        about: with `features`, `feature_types` and `classes`.
        place: folder of the model, for its examples.
    """
    try:
        converted = _to_onnx(model, about)
    except Exception as error:  # noqa: BLE001 # skl2onnx raises anything
        first = str(error).strip().partition("\n")[0]
        return {**about, "reason": f"no conversion: {type(error).__name__}: {first[:200]}"}, b""
    compared = comparison.compare(model, converted, about, place)
    if compared["label_mismatches"] or compared["largest_difference"] > comparison.TOLERANCE:
        reason = (
            f"not exact: {compared['label_mismatches']} other labels, numbers differ by up to "
            f"{compared['largest_difference']:.2g} over {compared['points_tried']} points"
        )
        return {**about, **compared, "reason": reason}, b""
    return {**about, **compared, **_versions(), "reason": ""}, converted


def describe(place: Path) -> dict[str, Any]:
    """What kind of model lies in a folder, and its file, without loading it."""
    import yaml

    mlmodel = place / "MLmodel"
    if mlmodel.is_file():
        stated = yaml.safe_load(mlmodel.read_bytes())
        flavors = stated.get("flavors", {}) if isinstance(stated, dict) else {}
        about = _signature(stated)
        if "sklearn" in flavors:
            return {"kind": "sklearn", "file": flavors["sklearn"]["pickled_model"], **about}
        if "onnx" in flavors:
            return {"kind": "onnx", "file": flavors["onnx"].get("data", _ONNX), **about}
        return {"kind": "other", **about}
    for kind, endings in (
        ("additive", (ADDITIVE_ENDING,)),
        ("onnx", (".onnx",)),
        ("sklearn", (".skops", ".joblib", ".pkl", ".pickle")),
    ):
        found = [path for path in sorted(place.rglob("*")) if path.name.endswith(endings)]
        if len(found) == 1:
            return {"kind": kind, "file": found[0].relative_to(place).as_posix()}
    return {"kind": "other"}


def _signature(stated: dict[str, Any]) -> dict[str, Any]:
    """Names and datatypes of the columns of an MLflow signature."""
    signature = stated.get("signature") or {}
    columns = json.loads(signature.get("inputs") or "[]")
    if not columns or any("name" not in column or "type" not in column for column in columns):
        return {}
    return {
        "features": [str(column["name"]) for column in columns],
        "feature_types": [_DATATYPES.get(str(column["type"]), "BYTES") for column in columns],
    }


def load(place: Path) -> Any:  # noqa: ANN401 # any model
    """Load the scikit-learn model of a folder. This runs code from the file."""
    file = place / describe(place)["file"]
    if not file.resolve().is_relative_to(place.resolve()):
        raise ValueError("the model's file lies outside its folder")
    if file.suffix == ".skops":
        import skops.io

        return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    import joblib

    # joblib reads plain pickles too, and its own compressed ones.
    return joblib.load(file)


def _describe_model(model: Any, about: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 # any model
    names = [str(name) for name in getattr(model, "feature_names_in_", [])]
    count = int(getattr(model, "n_features_in_", len(names)))
    features = about.get("features") or names or [f"x{i}" for i in range(count)]
    return {
        "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
        "features": features,
        "feature_types": about.get("feature_types") or ["FP32"] * len(features),
        "classes": [str(label) for label in getattr(model, "classes_", [])],
    }


def _versions() -> dict[str, list[str]]:
    from importlib.metadata import version

    names = ["onnx", "onnxruntime", "scikit-learn", "skl2onnx"]
    return {"libraries": names, "versions": [version(name) for name in names]}


def _to_onnx(model: Any, about: dict[str, Any]) -> bytes:  # noqa: ANN401 # any model
    """The ONNX form. One matrix where all features are numbers, else one input for each column."""
    import skl2onnx
    from skl2onnx.common import data_types as types
    from sklearn.base import is_classifier

    _mend_histogram_boosting()
    kinds = about["feature_types"]
    if set(kinds) <= {"FP32", "INT64", "BOOL"} and not comparison.picks_columns(model):
        inputs = [("input", types.FloatTensorType([None, len(kinds)]))]
    else:
        tensor = {"FP32": types.FloatTensorType, "INT64": types.Int64TensorType,
                  "BOOL": types.BooleanTensorType, "BYTES": types.StringTensorType}  # fmt: skip
        inputs = [
            (name, tensor[kind]([None, 1]))
            for name, kind in zip(about["features"], kinds, strict=True)
        ]
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    converted: bytes = skl2onnx.convert_sklearn(
        model, initial_types=inputs, options=options
    ).SerializeToString()
    return converted


def _mend_histogram_boosting() -> None:
    """Two faults of skl2onnx with histogram boosting, mended through its own registration.

    It gives numpy booleans where onnx takes whole numbers only; and it rounds split values to
    the nearest 32-bit float, where `x <= split` keeps its meaning only when rounded down.
    """
    from skl2onnx.common._registration import get_converter, register_converter

    class Container:
        """skl2onnx's container, with the attributes of tree nodes put right."""

        def __init__(self, container: Any, model: Any) -> None:  # noqa: ANN401 # foreign types
            self._container = container
            self._model = model

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 # foreign type
            return getattr(self._container, name)

        def add_node(self, *arguments: Any, **attributes: Any) -> Any:  # noqa: ANN401 # foreign types
            if "nodes_missing_value_tracks_true" in attributes:
                attributes["nodes_values"] = _splits_rounded_down(self._model)
                for name, values in attributes.items():
                    if name.startswith("nodes_missing") or name.endswith("ids"):
                        attributes[name] = [int(value) for value in values]
            return self._container.add_node(*arguments, **attributes)

    def mended(convert: Callable[..., Any]) -> Callable[..., Any]:
        return lambda scope, operator, container: convert(
            scope, operator, Container(container, operator.raw_operator)
        )

    for name in ("Classifier", "Regressor"):
        alias = f"SklearnHistGradientBoosting{name}"
        theirs = get_converter(alias)
        options = theirs.get_allowed_options()
        register_converter(alias, mended(theirs), overwrite=True, options=options)


def _splits_rounded_down(model: Any) -> Any:  # noqa: ANN401 # any model; float32 array
    """The split value of each node of histogram boosting, in the order skl2onnx takes them."""
    import numpy as np

    nodes = np.concatenate([tree.nodes for group in model._predictors for tree in group])  # noqa: SLF001 # no public way
    exact = np.where(nodes["is_leaf"], 0.0, nodes["num_threshold"])
    rounded = exact.astype(np.float32)
    above = rounded.astype(np.float64) > exact
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _additive(place: Path, about: dict[str, Any], to: Path) -> dict[str, Any]:
    """Build the graph of an additive model, and compare it with the model's own sums."""
    from strongroom.engines.privacy.dp.training.model import classes_of, model_from_json
    from strongroom.engines.privacy.dp.training.onnx_form import onnx_bytes
    from strongroom.errors import CallerError

    try:
        model = model_from_json((place / about["file"]).read_bytes())
    except CallerError as error:
        return {**about, "reason": f"no conversion: {error.message}"}
    about |= {
        "model_class": "strongroom.AdditiveModel",
        "features": [term.name for term in model.terms],
        "feature_types": ["FP32" if term.values is None else "BYTES" for term in model.terms],
        "classes": list(classes_of(model.target)),
    }
    converted = onnx_bytes(model)
    compared = comparison.compare_additive(model, converted)
    if compared["label_mismatches"] or compared["largest_difference"] > comparison.TOLERANCE:
        return {**about, **compared, "reason": "not exact"}
    to.write_bytes(converted)
    return {**about, **compared, **_versions(), "reason": ""}


def _check_onnx(place: Path, about: dict[str, Any]) -> dict[str, Any]:
    """A model that is ONNX already: see that it is whole and that the runtime takes it.

    It is not given back: the server runs only what was converted here, for the operators of a
    foreign file may take any time and memory for a single row.
    """
    import onnx
    import onnxruntime

    data = (place / about["file"]).read_bytes()
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model)
    onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return {**about, **_versions(), "model_class": "onnx", "reason": FOREIGN_ONNX}
