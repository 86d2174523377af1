"""What goes back: predictions in the format of the question, metadata, errors."""

from importlib.metadata import version
from typing import Any

import msgspec

from strongroom.errors import (
    CallerError,
    RateLimitedError,
    SandboxError,
    SignInError,
    StrongroomError,
    UnavailableError,
    ValidationError,
)
from strongroom.faces.inference.bodies import Asked
from strongroom.services.endpoints.runners import Live, Prediction

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
# A prediction is about somebody: no cache keeps it.
PRIVATE: list[Header] = [JSON, (b"cache-control", b"no-store")]

_encode = msgspec.json.Encoder().encode
_SERVER = _encode({"name": "strongroom", "version": version("strongroom"), "extensions": []})


def infer_answer(live: Live, asked: Asked, prediction: Prediction) -> bytes:
    """In the Open Inference Protocol. Raises: ValidationError for an output that is not there."""
    labels, probabilities = live.harden(prediction)
    outputs: list[dict[str, Any]] = [
        {"name": "label", "datatype": live.label_type, "shape": [asked.rows], "data": labels}
    ]
    if probabilities is not None:
        flat = [value for row in probabilities for value in row]
        shape = [asked.rows, len(probabilities[0])]
        outputs.append({"name": "probabilities", "datatype": "FP32", "shape": shape, "data": flat})
    if asked.outputs is not None:
        known = {output["name"]: output for output in outputs}
        if unknown := [name for name in asked.outputs if name not in known]:
            raise ValidationError(f"there is no output `{unknown[0][:100]}`")
        outputs = [known[name] for name in dict.fromkeys(asked.outputs)]
    answer: dict[str, Any] = {
        "model_name": live.endpoint,
        "model_version": str(live.servable.version),
        "outputs": outputs,
    }
    if asked.id is not None:
        answer["id"] = asked.id
    return _encode(answer)


def invocation_answer(live: Live, _asked: Asked, prediction: Prediction) -> bytes:
    """In MLflow's scoring format: what the model's `predict` gives."""
    return _encode({"predictions": live.harden(prediction)[0]})


def score_answer(live: Live, _asked: Asked, prediction: Prediction) -> bytes:
    """In the plain format."""
    labels, probabilities = live.harden(prediction)
    answer: dict[str, Any] = {
        "model": live.servable.model,
        "version": live.servable.version,
        "predictions": labels,
    }
    if probabilities is not None:
        answer["probabilities"] = probabilities
        answer["classes"] = list(live.servable.classes)
    return _encode(answer)


def server_metadata() -> bytes:
    """Answer to `v2`."""
    return _SERVER


def model_metadata(live: Live) -> bytes:
    """Answer to `v2/models/{name}`."""
    schema = live.schema
    if schema.is_matrix:
        inputs = [{"name": "input", "datatype": "FP32", "shape": [-1, len(schema.features)]}]
    else:
        numbers = "FP64" if schema.float_type(0).itemsize > 4 else "FP32"
        inputs = [
            {"name": name, "datatype": numbers if kind == "FP32" else kind, "shape": [-1, 1]}
            for name, kind in zip(schema.features, schema.types, strict=True)
        ]
    classes = live.servable.classes
    outputs: list[dict[str, Any]] = [{"name": "label", "datatype": live.label_type, "shape": [-1]}]
    if classes and live.shows_probabilities:
        outputs.append({"name": "probabilities", "datatype": "FP32", "shape": [-1, len(classes)]})
    return _encode(
        {
            "name": live.endpoint,
            "versions": [str(live.servable.version)],
            "platform": "onnxruntime" if live.runner.form == "onnx" else "sandbox",
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {
                "features": list(schema.features),
                "classes": list(classes),
                "model": live.servable.model,
                "digest": live.servable.digest,
            },
        }
    )


def ready(*, is_ready: bool) -> tuple[int, bytes]:
    """Status and answer to the readiness addresses."""
    return (200, b'{"ready":true}') if is_ready else (503, b'{"ready":false}')


def problem(error: StrongroomError) -> tuple[int, bytes, list[Header]]:
    """Status, body and headers of an error, in the protocol's shape: `{"error": "…"}`."""
    status = type(error).status
    headers = [(b"x-strongroom-code", type(error).code.encode())]
    if isinstance(error, RateLimitedError):
        # Whole seconds, at least one: RFC 9110, section 10.2.3.
        seconds = max(1, int(error.retry_after_seconds + 0.999))
        headers.append((b"retry-after", str(seconds).encode()))
    elif isinstance(error, SignInError):
        headers.append((b"www-authenticate", b'Bearer realm="strongroom"'))
    elif isinstance(error, SandboxError):
        status = UnavailableError.status
    elif isinstance(error, CallerError) and status == ValidationError.status:
        # The protocol knows 400 for whatever is wrong with a request.
        status = 400
    text = {"error": error.message, "next_step": error.next_step}
    return status, _encode(text), headers
