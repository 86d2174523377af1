"""Small texts that come as the body of a call."""

import json

from strongroom.errors import TooLargeError, TruncatedError, ValidationError
from strongroom.gate.operation import Call


def text_of(call: Call, most_bytes: int, what: str) -> str:
    """The body of a call, in at most `most_bytes` of UTF-8; `what` it is, for messages.

    Raises:
        TooLargeError, TruncatedError, ValidationError: it is too long, empty, or not UTF-8.
    """
    content = b""
    for chunk in call.stream():
        content += chunk
        if len(content) > most_bytes:
            raise TooLargeError(f"a {what} may have {most_bytes} bytes")
    if not content.strip():
        raise TruncatedError(f"the {what} is empty", next_step="a comment alone is allowed")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError(f"the {what} is not UTF-8") from None


def listed_in(text: str, most: int, what: str) -> list[str]:
    """The texts that a body lists: one a line, or a JSON list of strings; each once.

    Raises:
        TooLargeError: there are more than `most`.
        ValidationError: there is none.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not (isinstance(parsed, list) and all(isinstance(one, str) for one in parsed)):
        parsed = text.splitlines()
    found = list(dict.fromkeys(one.strip() for one in parsed if one.strip()))
    if len(found) > most:
        raise TooLargeError(f"one call takes {most} {what}")
    if not found:
        raise ValidationError(f"no {what} are given")
    return found
