"""The log of a service: lines for people, or a JSON object a line for whatever collects them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

LogFormat = Literal["text", "json"]
_LOG = logging.getLogger(__name__)
_TEXT_OF_WORKER = "worker {}: %(levelname)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """`time` (UTC, RFC 3339), `level`, `logger`, `message`; `worker` of several; `error` with a traceback."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._more: dict[str, Any] = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._more,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)  # in ASCII: some readers end lines at other characters, too


def set_up(format: LogFormat, worker: int | None = None) -> dict[str, Any]:
    """Readies the log of this process, to stderr; gives settings for `protocol.config`.

    `worker`: the number of this process, where there are several; they tell of warnings only.
    """
    if format == "text":
        if worker is not None:
            logging.basicConfig(level=logging.WARNING, format=_TEXT_OF_WORKER.format(worker))
        return {}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    if worker is None:
        for name in ("uvicorn", __name__):
            logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    return {"log_config": None}  # uvicorn would set up handlers of its own


def say(text: str) -> None:
    """A line about the service itself: as it is, or in JSON where the log is."""
    handlers = logging.getLogger().handlers
    if any(isinstance(one.formatter, JsonFormatter) for one in handlers):
        _LOG.info("%s", text)
    else:
        print(text, file=sys.stderr, flush=True)
