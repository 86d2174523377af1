"""From what arrived to the operation's typed request, without guessing.

JSON is read so that no two readers can differ about it: duplicate names, NaN, numbers out of
range, half surrogate pairs and deep nesting are refused (RFC 8259, sections 4, 6, 8.2 and 9).
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic.fields import FieldInfo

from strongroom.errors import CallerError, MediaTypeError, ValidationError

Model = TypeVar("Model", bound=BaseModel)

MAX_JSON_DEPTH = 32
MAX_JSON_VALUES = 200_000
MAX_INTEGER = 2**53 - 1
"""Beyond it two readers of JSON may see two numbers (RFC 7493, section 2.2)."""
MAX_NAMED_FAULTS = 5
MAX_QUERY_FIELDS = 100


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CallerError("the JSON body has a name twice in one object")
    return found


def _constant(name: str) -> Any:  # noqa: ANN401 # the signature json.loads wants; it never returns
    raise CallerError(f"`{name}` is not JSON")


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise CallerError("a number in the JSON body is out of range")
    return number


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > MAX_INTEGER:
        raise CallerError("a whole number in the JSON body is out of range")
    return number


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise CallerError("a text has a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise CallerError("a text has half a surrogate pair") from None


def _check(document: object) -> None:
    """Refuse what is too deep, too large in number or not Unicode; a walk without recursion."""
    level: list[object] = [document]
    depth = count = 0
    while level:
        count += len(level)
        if depth > MAX_JSON_DEPTH:
            raise CallerError(f"the JSON body is nested deeper than {MAX_JSON_DEPTH}")
        if count > MAX_JSON_VALUES:
            raise CallerError(f"the JSON body has more than {MAX_JSON_VALUES} values")
        below: list[object] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, dict):
                for name in value:
                    _check_text(name)
                below.extend(value.values())
        level, depth = below, depth + 1


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; an empty body counts as an object without members.

    Raises:
        CallerError: anything else than one unambiguous JSON object.
    """
    if not body:
        return {}
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_real,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        raise CallerError("the body is not UTF-8") from None
    except RecursionError:
        raise CallerError(f"the JSON body is nested deeper than {MAX_JSON_DEPTH}") from None
    except ValueError:
        raise CallerError("the body is not JSON") from None
    if not isinstance(document, dict):
        raise CallerError("the JSON body must be an object")
    _check(document)
    return document


def require_json(content_type: str, body: bytes) -> None:
    """Refuse a body that does not say it is JSON.

    A browser's form can only send other types, so this also keeps foreign sites out.

    Raises:
        MediaTypeError: another type.
    """
    essence, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if body and (
        essence.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}
    ):
        raise MediaTypeError("the body must be `application/json` in UTF-8")


def query_fields(
    model: type[BaseModel], pairs: Iterable[tuple[str, str]]
) -> dict[str, str | list[str]]:
    """The query as fields of `model`: a name twice is refused unless its field is a list.

    Raises:
        CallerError: a name twice, or too many.
        ValidationError: a name that is no field.
    """
    fields: dict[str, str | list[str]] = {}
    for place, (name, value) in enumerate(pairs):
        if place >= MAX_QUERY_FIELDS:
            raise CallerError(f"the query has more than {MAX_QUERY_FIELDS} fields")
        _check_text(name)
        _check_text(value)
        info = model.model_fields.get(name)
        if info is None:
            raise ValidationError(f"`{name[:64]}` is not a field of this operation")
        if is_list(info):
            earlier = fields.setdefault(name, [])
            assert isinstance(earlier, list)  # noqa: S101 # for mypy: a list field is always one
            earlier.append(value)
        elif name in fields:
            raise CallerError(f"`{name}` stands twice in the query")
        else:
            fields[name] = value
    return fields


def is_list(info: FieldInfo) -> bool:
    """Whether the field takes several values."""
    kinds = getattr(info.annotation, "__args__", ()) or ()
    return any(get_origin(kind) in {list, tuple, set} for kind in (info.annotation, *kinds))


def from_text(info: FieldInfo, value: str | list[str]) -> object:
    """A path or query value, as the JSON value that the field would hold.

    Raises:
        PydanticError: it is not one.
    """
    kind: Any = info.annotation
    if info.metadata:
        kind = Annotated[(kind, *info.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.dump_python(adapter.validate_python(value), mode="json")


def build(
    model: type[Model], text: Mapping[str, str | list[str]], members: Mapping[str, Any]
) -> Model:
    """The request, from the texts of path and query and the members of the JSON body.

    Raises:
        ValidationError: names each faulty field (at most five), never a value.
    """
    for name in members:
        if name not in model.model_fields:
            raise ValidationError(f"`{name[:64]}` is not a field of this operation")
        if name in text:
            raise ValidationError(f"`{name}` stands in the address already")
    faults: list[str] = []
    together = dict(members)
    for name, value in text.items():
        try:
            together[name] = from_text(model.model_fields[name], value)
            read_json(json.dumps({name: together[name]}, allow_nan=False).encode())
        except PydanticError as error:
            faults += [_fault({**fault, "loc": (name,)}) for fault in error.errors()]
        except (ValueError, CallerError):  # among them pydantic's PydanticSerializationError
            faults.append(f"`{name}`: not a value that can be taken")
    if not faults:
        try:
            return model.model_validate_json(json.dumps(together), strict=True)
        except PydanticError as error:
            faults = [_fault(dict(fault)) for fault in error.errors(include_input=False)]
    more = f"; and {len(faults) - MAX_NAMED_FAULTS} more" if len(faults) > MAX_NAMED_FAULTS else ""
    raise ValidationError("; ".join(faults[:MAX_NAMED_FAULTS]) + more)


def _fault(fault: Mapping[str, Any]) -> str:
    """One fault as `field`: what is wrong; pydantic's message, which quotes no value."""
    place = ".".join(str(part) for part in fault["loc"])[:100] or "request"
    text = str(fault["msg"])
    return f"`{place}`: {text[:1].lower()}{text[1:200]}"
