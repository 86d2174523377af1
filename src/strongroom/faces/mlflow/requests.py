"""Bodies of MLflow's API as it will read them: one JSON object, written anew.

What is handed on was parsed here first, so no two readers can take it differently, and what
MLflow would stumble over never reaches it.
"""

import json

from strongroom.errors import ValidationError


def checked(body: bytes) -> bytes:
    """The body to hand on; an empty one stays so.

    Raises:
        ValidationError: it is not a JSON object.
    """
    if not body:
        return b""
    try:
        parsed = json.loads(body)
        if not isinstance(parsed, dict):
            raise ValidationError("the body must be a JSON object")
        return json.dumps(parsed).encode()
    except (ValueError, RecursionError) as error:
        raise ValidationError("the body must be a JSON object") from error
