"""YAML that others have written, read into plain values in a time that its length bounds."""

import re

from strongroom.engines.scanning.reading import MalformedError

_MAX_DEPTH = 200
_BRACKETS = re.compile(rb"[\[\]{}]")


def read_yaml(data: bytes) -> object:
    """The value of a document.

    Raises:
        MalformedError: it cannot be parsed, or brackets stand in each other too deep: the parser's
            time grows with the square of that.
    """
    # Only here, for most of what is scanned has no YAML.
    import yaml

    depth = 0
    for bracket in _BRACKETS.finditer(data):
        depth = depth + 1 if bracket[0] in b"[{" else max(depth - 1, 0)
        if depth > _MAX_DEPTH:
            raise MalformedError("YAML that is nested too deep")
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise MalformedError("YAML that cannot be parsed") from error
