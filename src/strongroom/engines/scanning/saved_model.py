"""TensorFlow SavedModels: what the graphs in `saved_model.pb` would do, and Keras' metadata.

A SavedModel is a program in TensorFlow's own operators. Most of them compute; some read and write
files by names that the graph holds, and those run with the rights of whoever loads the model.

Source: tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto and
tensorflow/core/framework/{graph,function,node_def,attr_value}.proto (field numbers).
"""

from dataclasses import dataclass, field

from strongroom.engines.scanning.archives import unsafe_name
from strongroom.engines.scanning.keras_config import check_keras_config
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.protobuf import BYTES, NUMBER, ProtobufWalk
from strongroom.engines.scanning.reading import Limits, MalformedError, Reader
from strongroom.engines.scanning.tensorflow_operators import (
    CALLS_PYTHON,
    COMPUTES,
    REACHES_FILES,
    REACHES_NETWORK,
)

# What TensorFlow puts into every model to write and read its own variables, at a path that the
# caller gives.
_CHECKPOINT = frozenset(("SaveV2", "RestoreV2", "MergeV2Checkpoints"))
_CALLS = frozenset(("StatefulPartitionedCall", "PartitionedCall"))
_FILE_TABLES = frozenset(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"))
_PRINTS = frozenset(("PrintV2", "Print"))
_METADATA = 16 << 20
_TENSOR_TEXT = 1 << 12


@dataclass(slots=True)
class _Scope:
    """What one graph or function does, as far as it matters here."""

    name: str
    operators: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)
    prints_to: list[str] = field(default_factory=list)


class _Walk(ProtobufWalk):
    def __init__(self, reader: Reader, limits: Limits) -> None:
        super().__init__(reader)
        self.limits = limits
        self.problems: dict[tuple[str, str], Problem] = {}
        self.scopes: list[_Scope] = []
        self.functions: set[str] = set()
        self.assets: list[str] = []
        self.metadata: list[bytes] = []

    def model(self) -> None:
        """SavedModel: schema version and graphs."""
        graphs = 0
        for number, wire, value in self.each(None, 0):
            if (number, wire) == (2, BYTES):
                self.meta_graph(value)
                graphs += 1
            elif (number, wire) != (1, NUMBER):
                raise MalformedError("not a SavedModel")
        if not graphs:
            raise MalformedError("a SavedModel without a graph")

    def meta_graph(self, length: int) -> None:
        for number, value in self.inside(length, 1):
            if number == 2:  # graph_def
                self.graph(value)
            elif number == 6:  # asset_file_def
                for inner, size in self.inside(value, 2):
                    if inner == 2:  # filename
                        self.assets.append(self.text(size))
            elif number == 7:  # object_graph_def
                self.object_graph(value)

    def graph(self, length: int) -> None:
        scope = _Scope("")
        self.scopes.append(scope)
        for number, value in self.inside(length, 2):
            if number == 1:  # node
                self.node(value, scope)
            elif number == 2:  # library
                for inner, size in self.inside(value, 3):
                    if inner == 1:  # function
                        self.function(size)

    def function(self, length: int) -> None:
        scope = _Scope("")
        for number, value in self.inside(length, 4):
            if number == 1:  # signature
                for inner, size in self.inside(value, 5):
                    if inner == 1:  # name
                        scope.name = self.text(size)
                        self.functions.add(scope.name)
            elif number == 3:  # node_def
                self.node(value, scope)
        self.scopes.append(scope)

    def node(self, length: int, scope: _Scope) -> None:
        operator = ""
        streams: list[str] = []
        calls: set[str] = set()
        for number, value in self.inside(length, 6):
            if number == 2:  # op
                operator = self.text(value)
            elif number == 5:  # attr
                self.attribute(value, scope, streams, calls)
        scope.operators.add(operator)
        if operator in _CALLS:
            scope.calls |= calls
        if operator in _PRINTS:
            scope.prints_to.extend(text for text in streams if text.startswith("file:"))

    def attribute(self, length: int, scope: _Scope, streams: list[str], calls: set[str]) -> None:
        key = ""
        for number, value in self.inside(length, 7):
            if number == 1:  # key of the map
                key = self.text(value)
            elif number == 2:  # AttrValue
                for inner, size in self.inside(value, 8):
                    if inner == 2 and key == "output_stream":  # s
                        streams.append(self.text(size))
                    elif inner == 8:  # tensor
                        self.tensor(size, scope)
                    elif inner == 10:  # func
                        calls |= self.called(size)

    def called(self, length: int) -> set[str]:
        return {self.text(size) for number, size in self.inside(length, 9) if number == 1}

    def tensor(self, length: int, scope: _Scope) -> None:
        """Constant texts: a file operator's name may stand there."""
        for number, value in self.inside(length, 9):
            if number == 8 and value <= _TENSOR_TEXT and len(scope.texts) < 4096:  # string_val
                scope.texts.append(self.text(value))

    def object_graph(self, length: int) -> None:
        for number, value in self.inside(length, 2):
            if number != 1:  # nodes
                continue
            for inner, size in self.inside(value, 3):
                if inner == 4:  # user_object
                    for field_, count in self.inside(size, 4):
                        if field_ == 3 and count:  # metadata
                            self.metadata.append(self.reader.take(self.metadata_bytes(count)))

    def metadata_bytes(self, count: int) -> int:
        if count > _METADATA:
            raise MalformedError("metadata longer than any honest one")
        return count

    # ---- judging ----

    def judge(self) -> list[Problem]:
        saving = {scope.name for scope in self.scopes if scope.operators & _CHECKPOINT}
        for scope in self.scopes:
            self.judge_scope(scope, saving)
        for name in self.assets:
            why = unsafe_name(name, self.limits)
            if why is not None:
                self.tell("SR-TFM-004", f"has an asset whose path {why}", name)
        for data in self.metadata:
            self.keras(data)
        return list(self.problems.values())

    def judge_scope(self, scope: _Scope, saving: set[str]) -> None:
        for operator in sorted(scope.operators):
            if operator in _CHECKPOINT:
                self.judge_checkpoint(scope, operator)
            elif operator in _FILE_TABLES and self.assets:
                continue  # filled from an asset, which the folder brings
            elif operator in REACHES_FILES:
                self.tell("SR-TFM-001", f"reads or writes files by `{operator}`", operator)
            elif operator in REACHES_NETWORK:
                self.tell("SR-TFM-001", f"opens network connections by `{operator}`", operator)
            elif operator in CALLS_PYTHON:
                says = f"calls Python functions of the process that loads it, by `{operator}`"
                self.tell("SR-TFM-002", says, operator)
            elif operator not in COMPUTES | self.functions | _PRINTS:
                says = (
                    f"needs the operator `{operator[:80]}`, which is not a known one of TensorFlow"
                )
                self.tell("SR-TFM-003", says, operator)
        for stream in scope.prints_to:
            self.tell("SR-TFM-001", "prints into a file", stream)
        if scope.name and scope.calls & saving:
            says = "writes or reads variables from a function that is not TensorFlow's saver"
            self.tell("SR-TFM-001", says, scope.name)

    def judge_checkpoint(self, scope: _Scope, operator: str) -> None:
        """TensorFlow's saver takes its path from the caller; a path in the graph is an attack."""
        for text in scope.texts:
            if text.startswith(("/", "~", "\\")) or "://" in text or ".." in text.split("/"):
                if text.startswith("^"):  # the saver's own test for object stores
                    continue
                says = f"reads or writes `{text[:80]}` by `{operator}`"
                self.tell("SR-TFM-001", says, text)

    def keras(self, data: bytes) -> None:
        if not data.lstrip().startswith(b"{"):
            return
        for problem in check_keras_config(data):
            self.problems.setdefault((problem.rule_id, problem.subject), problem)

    def tell(self, rule_id: str, says: str, subject: str) -> None:
        if len(self.problems) < self.limits.findings:
            self.problems.setdefault(
                (rule_id, subject), Problem(rule_id, says, None, subject[:200])
            )


def check_saved_model(reader: Reader, limits: Limits) -> list[Problem]:
    """What is wrong with a `saved_model.pb`.

    Raises:
        MalformedError: it is not a SavedModel, or broken.
    """
    walk = _Walk(reader, limits)
    walk.model()
    return walk.judge()


def check_keras_metadata(reader: Reader, limits: Limits) -> list[Problem]:
    """What is wrong with the `keras_metadata.pb` that Keras 2 puts beside a SavedModel.

    Raises:
        MalformedError: it is not one.
    """
    walk = _Walk(reader, limits)
    for number, wire, value in walk.each(None, 0):
        if (number, wire) != (1, BYTES):  # nodes
            raise MalformedError("not Keras' metadata")
        for inner, size in walk.inside(value, 1):
            if inner == 5:  # metadata
                walk.metadata.append(reader.take(walk.metadata_bytes(size)))
    return walk.judge()
