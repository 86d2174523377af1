"""huey, made to fit: messages of JSON in memory, threads inside a server."""

import json
import logging
from datetime import datetime
from typing import Any

from huey.consumer import Consumer
from huey.consumer import Worker as HueyWorker
from huey.registry import Message
from huey.serializer import Serializer

# huey's own messages go through the standard library; it is talkative at INFO.
logging.getLogger("huey").setLevel(logging.WARNING)


class JsonSerializer(Serializer):  # type: ignore[misc] # huey has no types
    """huey pickles by default; here messages are JSON, and nothing is ever unpickled."""

    def _serialize(self, data: Any) -> bytes:  # noqa: ANN401 # huey's tuple
        # The one field that is no JSON: when it is to be done, if that is not at once.
        at = data.eta.isoformat() if data.eta is not None else None
        return json.dumps(list(data._replace(eta=at))).encode()

    def _deserialize(self, data: bytes) -> Message:
        found = Message(*json.loads(data))
        if found.eta is None:
            return found
        return found._replace(eta=datetime.fromisoformat(found.eta))


class QuietConsumer(Consumer):  # type: ignore[misc] # huey has no types
    """huey's threads inside a server that has its own signal handlers."""

    worker_class = HueyWorker

    def _set_signal_handlers(self) -> None:
        """The server's handlers stay."""
