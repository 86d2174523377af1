"""MLflow model folders: what `MLmodel` makes a loader do.

Source: mlflow 3.17, `mlflow/models/model.py`, `mlflow/pyfunc/__init__.py`.
"""

from dataclasses import dataclass, field

from strongroom.engines.scanning.archives import unsafe_name
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import Limits, MalformedError
from strongroom.engines.scanning.skops_schema import judge_type
from strongroom.engines.scanning.yaml_reading import read_yaml

_FLAVORS = frozenset(
    (
        "python_function",
        "sklearn",
        "onnx",
        "xgboost",
        "lightgbm",
        "catboost",
        "pytorch",
        "tensorflow",
        "keras",
        "statsmodels",
    )
)
_LOADERS = frozenset(f"mlflow.{name}" for name in _FLAVORS - {"python_function"})
_CODE_LOADERS = ("mlflow.pyfunc.model", "mlflow.pyfunc.loaders")
_CODE_KEYS = ("code", "model_code_path", "code_paths", "python_model")
_MAX_NODES = 100_000


@dataclass(frozen=True, slots=True)
class MlmodelFacts:
    """What an `MLmodel` tells about its folder.

    Attributes:
        pickles: paths within the folder that a loader opens as pickles.
        problems: what is wrong.
    """

    pickles: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)


def read_mlmodel(data: bytes, limits: Limits) -> MlmodelFacts:
    """Judges an `MLmodel` file.

    Raises:
        MalformedError: it cannot be parsed, or has no flavors.
    """
    flavors = _mapping(read_yaml(data)).get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise MalformedError("an MLmodel without flavors")
    problems: list[Problem] = []
    pickles: set[str] = set()
    for name, settings in flavors.items():
        if not isinstance(name, str) or name not in _FLAVORS:
            says = f"has the flavor `{str(name)[:80]}`, whose loader is not known here"
            problems.append(Problem("SR-MLF-001", says, None, str(name)[:200]))
        if isinstance(settings, dict):
            problems.extend(_flavor(settings))
            problems.extend(_paths(settings, limits))
            pickles.update(_pickles(str(name), settings))
    return MlmodelFacts(frozenset(pickles), problems)


def _flavor(settings: dict[object, object]) -> list[Problem]:
    problems = []
    loader = settings.get("loader_module")
    if loader is not None and not (isinstance(loader, str) and loader in _LOADERS):
        shown = str(loader)[:80]
        if str(loader).startswith(_CODE_LOADERS):
            says = f"is loaded by `{shown}`, which runs the code that the folder brings"
            problems.append(Problem("SR-MLF-002", says, None, shown))
        else:
            says = f"is loaded by `{shown}`, which is not a known loader"
            problems.append(Problem("SR-MLF-001", says, None, shown))
    for key in _CODE_KEYS:
        if settings.get(key):
            says = f"puts its own code on the import path by `{key}`"
            problems.append(Problem("SR-MLF-002", says, None, key))
    trusted = settings.get("skops_trusted_types")
    if isinstance(trusted, list):
        for name in trusted[:1000]:
            problems.extend(judge_type(str(name)))
    elif trusted is not None:
        raise MalformedError("skops types that are no list")
    return problems


def _paths(settings: dict[object, object], limits: Limits) -> list[Problem]:
    """Text anywhere in a flavor that names a place outside the folder."""
    problems = []
    seen: set[int] = set()
    stack: list[object] = [settings]
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list):
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.extend(node.values() if isinstance(node, dict) else node)
            if len(seen) > _MAX_NODES:
                raise MalformedError("an MLmodel larger than any honest one")
        elif isinstance(node, str) and _leaves(node, limits):
            says = "names a path or address outside its folder"
            problems.append(Problem("SR-MLF-003", says, None, node[:200]))
    return problems


def _leaves(text: str, limits: Limits) -> bool:
    if "://" in text or text.startswith(("/", "\\", "~")) or text[1:3] == ":\\":
        return True
    return ".." in text.replace("\\", "/").split("/") and unsafe_name(text, limits) is not None


def _pickles(flavor: str, settings: dict[object, object]) -> list[str]:
    if flavor != "sklearn" or settings.get("serialization_format") == "skops":
        return []
    path = settings.get("pickled_model")
    return [path] if isinstance(path, str) else []


def _mapping(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise MalformedError("YAML that is no mapping")
    return value
