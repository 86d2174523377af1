"""Gradient-boosting models in their libraries' own formats: data, and whole or not.

No loader of these runs anything from the file. They are walked to their end so that nothing else
is carried along, and so that a file that breaks off is not taken for a model.

Source: XGBoost 3.2, "Model IO" and `src/common/json.cc`; its binary format of before 3.1
(`src/learner.cc`, `src/gbm/gbtree_model.h`); LightGBM 4.6, `gbdt_model_text.cpp`; CatBoost 1.2,
`model.fbs`; ubjson.org, "Type reference".
"""

import re
import struct

from strongroom.engines.scanning.flatbuffers import FlatBuffer
from strongroom.engines.scanning.reading import LimitError, MalformedError, Reader

_WIDTHS = {
    b"i": "b", b"U": "B", b"I": ">h", b"u": ">H", b"l": ">i", b"m": ">I", b"L": ">q", b"M": ">Q",
}  # fmt: skip
_FLOATS = {b"h": 2, b"d": 4, b"D": 8}
_BARE = frozenset((b"Z", b"N", b"T", b"F"))
_MAX_DEPTH = 64
_MAX_VALUES = 200_000_000
_MAX_KEY = 1 << 16
_CATBOOST_MAX = 1 << 31
_CATBOOST_TABLES = "static_provider_v1"  # statistics of categories
_LEARNER = struct.Struct("<fIiiiIIIi25i")
_NODE_BYTES, _STAT_BYTES, _TREE_BYTES, _BOOSTER_BYTES = 20, 16, 148, 160
_MAX_TREES = 10_000_000


# ---- XGBoost, UBJSON ----


class _Ubjson:
    """A walk over one value; XGBoost writes arrays of one type with their count."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._values = 0

    def value(self, kind: bytes, depth: int) -> None:
        """Passes over a value whose type was read."""
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise LimitError("a UBJSON value larger or deeper than any honest one")
        if kind in _WIDTHS:
            self._reader.skip(struct.calcsize(_WIDTHS[kind]))
        elif kind in _FLOATS:
            self._reader.skip(_FLOATS[kind])
        elif kind == b"C":
            self._reader.skip(1)
        elif kind in (b"S", b"H"):
            self._reader.skip(self.length())
        elif kind == b"[":
            self._array(depth)
        elif kind == b"{":
            self._object(depth)
        elif kind not in _BARE:
            raise MalformedError("a UBJSON value of an unknown type")

    def length(self) -> int:
        """A count."""
        form = _WIDTHS.get(self._reader.take(1))
        if form is None:
            raise MalformedError("a UBJSON length that is no number")
        length = int(struct.unpack(form, self._reader.take(struct.calcsize(form)))[0])
        if length < 0:
            raise MalformedError("a UBJSON length below zero")
        return length

    def _header(self) -> tuple[bytes | None, int | None]:
        """Type and count of a container, where they stand in front."""
        kind = count = None
        if self._reader.peek(1) == b"$":
            self._reader.skip(1)
            kind = self._reader.take(1)
        if self._reader.peek(1) == b"#":
            self._reader.skip(1)
            count = self.length()
        if kind is not None and count is None:
            raise MalformedError("a UBJSON array of one type without its count")
        return kind, count

    def _array(self, depth: int) -> None:
        kind, count = self._header()
        if kind is not None and count is not None:
            width = _FLOATS.get(kind) or struct.calcsize(_WIDTHS.get(kind, ""))
            if not width:
                raise MalformedError("a UBJSON array of an unknown type")
            self._reader.skip(width * count)
            return
        while count is None or count > 0:
            inner = self._reader.take(1)
            if inner == b"]" and count is None:
                return
            self.value(inner, depth + 1)
            count = None if count is None else count - 1

    def _object(self, depth: int) -> None:
        _kind, count = self._header()
        if _kind is not None:
            raise MalformedError("a UBJSON object of one type")
        while count is None or count > 0:
            if count is None and self._reader.peek(1) == b"}":
                self._reader.skip(1)
                return
            length = self.length()
            if length > _MAX_KEY:
                raise MalformedError("a UBJSON key longer than any honest one")
            self._reader.skip(length)
            self.value(self._reader.take(1), depth + 1)
            count = None if count is None else count - 1


def check_ubjson(reader: Reader) -> None:
    """Walks a model of XGBoost in UBJSON to its end.

    Raises:
        MalformedError: it breaks off, or something follows.
    """
    _Ubjson(reader).value(reader.take(1), 0)
    if reader.peek(1):
        raise MalformedError("bytes behind the model")


# ---- XGBoost, its binary format of before 3.1 ----


def check_xgboost_binary(reader: Reader) -> None:
    """Walks a model of XGBoost in its old binary format to its end.

    Raises:
        MalformedError: it breaks off, something follows, or it is of a kind not known here.
    """
    if reader.peek(4) == b"binf":
        reader.skip(4)
    learner = _LEARNER.unpack(reader.take(_LEARNER.size))
    has_attributes, has_metrics = learner[3], learner[4]
    _text(reader)  # objective
    booster = _text(reader)
    if booster == b"gblinear":
        parameters = struct.unpack("<Ii32i", reader.take(136))  # features, groups
        weights = (parameters[0] + 1) * max(1, parameters[1])
        if _count(reader) != weights:
            raise MalformedError("a linear model with strange weights")
        reader.skip(4 * weights)
    elif booster in (b"gbtree", b"dart"):
        trees = struct.unpack("<i", reader.take(_BOOSTER_BYTES)[:4])[0]
        if not 0 <= trees <= _MAX_TREES:
            raise MalformedError("a model with a strange number of trees")
        for _ in range(trees):
            nodes = struct.unpack_from("<i", reader.take(_TREE_BYTES), 4)[0]
            if nodes <= 0:
                raise MalformedError("a tree without nodes")
            reader.skip(nodes * (_NODE_BYTES + _STAT_BYTES))
        reader.skip(4 * trees)
        if booster == b"dart" and trees:
            reader.skip(4 * _count(reader))
    else:
        raise MalformedError("a booster of an unknown kind")
    if has_attributes:
        for _ in range(2 * _count(reader)):
            _text(reader)
    if has_metrics:
        for _ in range(_count(reader)):
            _text(reader)
    if reader.peek(1):
        raise MalformedError("bytes behind the model")


def _count(reader: Reader) -> int:
    count = int(struct.unpack("<Q", reader.take(8))[0])
    if count > _MAX_TREES:
        raise MalformedError("a count larger than any honest one")
    return count


def _text(reader: Reader) -> bytes:
    length = _count(reader)
    if length > 1 << 20:  # bytes of the longest honest attribute
        raise MalformedError("a text longer than any honest one")
    return reader.take(length)


def looks_like_xgboost_binary(head: bytes) -> bool:
    """Whether the bytes begin as a model of XGBoost in its old binary format."""
    if head.startswith(b"binf"):
        return True
    at = _LEARNER.size
    if len(head) < at + 16:  # a length and the shortest name
        return False
    (length,) = struct.unpack_from("<Q", head, at)
    name = head[at + 8 : at + 8 + min(length, 64)]
    return 0 < length < 64 and name.startswith(
        (b"binary:", b"reg:", b"multi:", b"rank:", b"count:", b"survival:")
    )


# ---- XGBoost, JSON ----

_JSON_MODEL = re.compile(
    rb'\s*\{\s*"(?:learner"\s*:|version"\s*:\s*\[[\d,\s]*\]\s*,\s*"learner"\s*:)'
)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)


def looks_like_xgboost_json(head: bytes) -> bool:
    """Whether a text begins as a model of XGBoost in JSON."""
    return _JSON_MODEL.match(head) is not None


def check_json_whole(reader: Reader) -> None:
    """Whether a JSON object ends where its file does; what it holds is not looked at.

    Raises:
        MalformedError: it breaks off, or something follows.
    """
    depth, in_string, carry = 0, False, b""
    while data := reader.peek(1 << 18):
        reader.skip(len(data))
        data = carry + data
        odd = (len(data) - len(data.rstrip(b"\\"))) % 2
        data, carry = (data[:-1], data[-1:]) if odd else (data, b"")
        for number, part in enumerate(_ESCAPED.sub(b"", data).split(b'"')):
            in_string = in_string != (number > 0)
            if in_string and depth <= 0:
                raise MalformedError("something behind the object")
            if in_string or not part.strip():
                continue
            rest = part.rstrip(b"}] \t\r\n")
            depth += sum(map(rest.count, (b"{", b"["))) - sum(map(rest.count, (b"}", b"]")))
            is_over = depth <= 0 and rest
            depth -= sum(map(part[len(rest) :].count, (b"}", b"]")))
            if is_over or depth < 0:
                raise MalformedError("something behind the object")
    if depth or in_string or carry:
        raise MalformedError("an object without its end")


# ---- LightGBM and CatBoost ----

_LIGHTGBM_ENDS = (
    re.compile(rb"\nend of trees\r?\n"),
    re.compile(rb"\n(?:end of parameters\r?\n|pandas_categorical:)"),
)


def looks_like_lightgbm(head: bytes) -> bool:
    """Whether a text begins as a model of LightGBM."""
    return head.startswith((b"tree\nversion=", b"tree\r\nversion="))


def check_lightgbm(reader: Reader) -> None:
    """Whether a model of LightGBM has its trees and what the library writes behind them.

    Raises:
        MalformedError: it breaks off.
    """
    # The trees, then importances, then parameters; Python adds the categories of its columns.
    left, carry, last = list(_LIGHTGBM_ENDS), b"", b""
    while data := reader.peek(1 << 18):
        reader.skip(len(data))
        window, last = carry + data, data[-1:]
        while left and (found := left[0].search(window)):
            window = window[found.end() :]
            del left[0]
        carry = window[-32:]
    if len(left) == len(_LIGHTGBM_ENDS):
        raise MalformedError("a model without the end of its trees")
    if left or last != b"\n":
        raise MalformedError("a model that breaks off behind its trees")


def check_catboost(reader: Reader) -> None:
    """Whether a model of CatBoost is whole: its core is a FlatBuffer of a given length.

    Raises:
        MalformedError: it breaks off, or something follows that the core does not tell of.
    """
    if reader.take(4) != b"CBM1":
        raise MalformedError("not a model of CatBoost")
    (size,) = struct.unpack("<I", reader.take(4))
    if not 8 <= size < _CATBOOST_MAX:
        raise MalformedError("a CatBoost model with a strange length")
    core = FlatBuffer(reader.take(size))
    root = core.root()
    core.text(root, 0)  # format version
    start, parts = core.vector(root, 3)  # names of parts that follow
    if parts == 1 and core.text_at(core.follow(start)) == _CATBOOST_TABLES:
        for _ in range(_catboost_size(reader)):
            reader.skip(_catboost_size(reader))
        parts = 0
    # Parts for texts and embeddings have forms of their own, and are not walked.
    if not parts and reader.peek(1):
        raise MalformedError("bytes behind the model")


def _catboost_size(reader: Reader) -> int:
    """A count or length, as `SaveSize` of CatBoost's library writes it."""
    (size,) = struct.unpack("<I", reader.take(4))
    return int(struct.unpack("<Q", reader.take(8))[0] if size == 0xFFFFFFFF else size)
