# ruff: noqa: INP001 - a script of its own
"""Write the allow-list of pickles of torch, XGBoost, LightGBM and CatBoost.

    python examples/generate_framework_allowlist.py

Each library that is installed is asked for models, which are saved as it saves them and followed by
the symbolic pickle machine. What is found is added to the list that is there, so that it can be run
once for each environment. Names on the list of dangers are left out and told.
"""

import io
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generate_allowlist import Recorder as PlainRecorder

from strongroom.engines.scanning.allowed_callables import ALLOWED
from strongroom.engines.scanning.allowed_frameworks import FRAMEWORKS
from strongroom.engines.scanning.allowlist import STRICT_NAMES
from strongroom.engines.scanning.dangers import danger
from strongroom.engines.scanning.reading import Reader
from strongroom.engines.scanning.symbols import Symbol

TARGET = Path(__file__).parents[1] / "src/strongroom/engines/scanning/allowed_frameworks.py"
LINE = 96
HEADER = '''"""Uses that pickles of deep-learning and boosting libraries make.

Written by examples/generate_framework_allowlist.py, read by people. Module → use or uses → names;
uses in the alphabet of `symbols.kind_of`, several of them with ` | ` between. `-` is to be named
only, `object` is made by `cls.__new__(cls)` and then given its attributes.
"""

FRAMEWORKS: dict[str, dict[str, str]] = {
'''


class Recorder(PlainRecorder):
    """A recorder of torch's archives, too, which ask their loader for storages."""

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:
        """Storages are expected; all else is not."""
        if rule_id != "SR-PKL-009":
            super().on_oddity(rule_id, says, offset)

    def record_torch(self, save: Callable[[Any, io.BytesIO], None], value: Any) -> None:  # noqa: ANN401 # any model
        """Saves `value` as torch does and follows the pickle inside."""
        buffer = io.BytesIO()
        save(value, buffer)
        with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as archive:
            inner = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            self.follow(Reader(io.BytesIO(archive.read(inner))))


def torch_modules(torch: Any) -> Iterator[type]:  # noqa: ANN401 # a module, imported where it is installed
    """Every layer of torch that is made without code of the user's own."""
    for value in vars(torch.nn).values():
        is_layer = isinstance(value, type) and issubclass(value, torch.nn.Module)
        if is_layer and "Parallel" not in value.__name__ and "Lazy" not in value.__name__:
            yield value


def torch_values(torch: Any) -> Iterator[Any]:  # noqa: ANN401 # as above
    """Values that checkpoints hold, and layers with attributes of more than numbers."""
    nn = torch.nn
    kinds = [value for value in vars(torch).values() if isinstance(value, torch.dtype)]
    yield kinds
    for kind in kinds:
        try:
            yield torch.zeros(2, dtype=kind)
        except (RuntimeError, TypeError, NotImplementedError):
            continue
    yield [torch.Size([1, 2]), torch.device("cpu"), torch.strided, torch.sparse_coo]
    yield [torch.Generator().get_state(), torch.tensor(1), nn.Parameter(torch.ones(2))]
    yield [torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(), torch.empty(2, device="meta")]
    yield torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8)
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([0, 0])
    yield torch.quantize_per_channel(torch.rand(2, 2), scales, zeros, 0, torch.quint8)
    yield [torch.nn.utils.rnn.pack_sequence([torch.ones(2)]), torch.nested.nested_tensor([scales])]
    yield nn.ParameterList([nn.Parameter(scales)])
    yield nn.ParameterDict({"a": nn.Parameter(scales)})
    yield nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.LayerNorm(8), nn.Conv1d(1, 1, 1)
    )
    yield nn.ModuleDict({"a": nn.BatchNorm2d(3), "b": nn.LSTM(2, 3), "c": nn.GRU(2, 2)})
    yield nn.Transformer(8, 2, 1, 1, 8)
    yield nn.TransformerEncoderLayer(8, 2, 8, activation="gelu")
    yield nn.TransformerEncoderLayer(8, 2, 8, activation=nn.functional.gelu)
    yield nn.MultiheadAttention(8, 2)
    model = nn.Linear(2, 2)
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax"):
        optimizer = getattr(torch.optim, name)(model.parameters())
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        yield {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
        yield torch.optim.lr_scheduler.StepLR(optimizer, 2).state_dict()


def boosted() -> Iterator[Any]:
    """Models of the boosting libraries that are installed, in each of their forms."""
    numpy = import_module("numpy")
    table = numpy.array([[float(i % 7), float(i * i % 5)] for i in range(60)])
    target, groups = [i % 2 for i in range(60)], [20, 20, 20]
    if find_spec("xgboost"):
        xgboost = import_module("xgboost")
        for name in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"):
            yield getattr(xgboost, name)(n_estimators=2).fit(table, target)
        yield xgboost.XGBRanker(n_estimators=2).fit(table, target, group=groups)
        yield xgboost.XGBClassifier()
        yield xgboost.train({}, xgboost.DMatrix(table, target), 2)
    if find_spec("lightgbm"):
        lightgbm = import_module("lightgbm")
        for name in ("LGBMClassifier", "LGBMRegressor"):
            yield getattr(lightgbm, name)(n_estimators=2, verbose=-1).fit(table, target)
        yield lightgbm.LGBMRanker(n_estimators=2, verbose=-1).fit(table, target, group=groups)
        yield lightgbm.LGBMClassifier()
        yield lightgbm.train({"verbose": -1}, lightgbm.Dataset(table, target), 2)
    if find_spec("catboost"):
        catboost = import_module("catboost")
        quiet = {"iterations": 2, "verbose": False, "allow_writing_files": False}
        for name in ("CatBoostClassifier", "CatBoostRegressor"):
            yield getattr(catboost, name)(**quiet).fit(table, target)
        yield catboost.CatBoost(quiet).fit(table, target)
        yield catboost.CatBoostClassifier()


def merged(recorder: Recorder) -> dict[str, dict[str, set[str]]]:
    """What was there and what was found: module → name → uses."""
    modules: dict[str, dict[str, set[str]]] = {}
    for module, names_by_use in FRAMEWORKS.items():
        for uses, names in names_by_use.items():
            for name in names.split():
                modules.setdefault(module, {})[name] = set() if uses == "-" else expand(uses)
    for key, found in recorder.uses.items():
        module, name = key.split(":", 1)
        listed = name in ALLOWED.get(module, {}) and found <= ALLOWED[module][name]
        if listed or key in STRICT_NAMES or module == "builtins":
            continue
        why = danger(Symbol(module, name))
        if why is not None:
            print(f"left out: {key}: {why.does}", file=sys.stderr)  # noqa: T201 # a script
            continue
        modules.setdefault(module, {}).setdefault(name, set()).update(found)
    return modules


def expand(uses: str) -> set[str]:
    """The uses that a text of the list stands for."""
    return {"new()", "build(dict)"} if uses == "object" else set(uses.split(" | "))


def render(modules: dict[str, dict[str, set[str]]]) -> str:
    """The module's text."""
    lines = []
    for module, names in sorted(modules.items()):
        lines.append(f'    "{module}": {{')
        by_use: dict[str, list[str]] = {}
        for name, found in names.items():
            text = "object" if found == {"new()", "build(dict)"} else " | ".join(sorted(found))
            by_use.setdefault(text or "-", []).append(name)
        for uses, listed in sorted(by_use.items()):
            lines.append(f'        "{uses}": """')
            line = ""
            for name in sorted(listed):
                if line and len(line) + len(name) > LINE - 12:
                    lines.append(f"            {line.rstrip()}")
                    line = ""
                line += f"{name} "
            lines.extend([f"            {line.rstrip()}", '        """,'])
        lines.append("    },")
    return HEADER + "\n".join(lines) + "\n}\n"


def main() -> None:
    """Entry point."""
    warnings.simplefilter("ignore")
    recorder = Recorder()
    if find_spec("torch"):
        torch = import_module("torch")
        for layer in torch_modules(torch):
            recorder.uses[f"{layer.__module__}:{layer.__name__}"] |= {"new()", "build(dict)"}
        for value in torch_values(torch):
            try:
                recorder.record_torch(torch.save, value)
            except (ValueError, TypeError, RuntimeError, AttributeError, KeyError) as error:
                print(f"not recorded: {error!r}"[:300], file=sys.stderr)  # noqa: T201 # a script
    for value in boosted():
        for protocol in range(6):
            recorder.follow(Reader(io.BytesIO(pickle.dumps(value, protocol))))
        recorder.record(value)
    TARGET.write_text(render(merged(recorder)))


if __name__ == "__main__":
    main()
