import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from strongroom import logs

KEY = "srk_ab12_" + "A" * 43 + "_c0ffee"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("srk_", "srs_"),
        KEY.replace("srk_", "srl_"),
        KEY.replace("srk_", "sri_"),
        f"GET /x Authorization: Bearer {KEY}",
        "authorization=Basic dXNlcjpwYXNzd29yZA==",
        "https://localhost/sign-in?token=abcdefghijk",
        "/sign-in/abcdefghijklmnop",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEA",
    ],
)
def test_a_credential_in_a_text_is_hidden(text: str, lines: io.StringIO) -> None:
    structlog.get_logger("t").info(text, inner={"deep": [text]})
    logging.getLogger("library").warning("said %s", text)
    written = lines.getvalue()
    assert written.count("[hidden]") >= 3
    for secret in ("AAAA", "dXNl", "abcdefghijk", "MIGH"):
        assert secret not in written


def test_lines_are_without_colours(lines: io.StringIO) -> None:
    coloured = {"color_message": "Started \x1b[36m%d\x1b[0m"}  # as uvicorn passes it
    logging.getLogger("uvicorn.error").info("Started %d", 7, extra=coloured)
    entry = json.loads(lines.getvalue())
    assert entry["event"] == "Started 7"
    assert "color_message" not in entry


def test_a_field_named_like_a_secret_is_hidden(lines: io.StringIO) -> None:
    structlog.get_logger("t").info("stored", api_key="plain", root_passphrase="plain", size=3)
    entry = json.loads(lines.getvalue())
    assert entry["api_key"] == entry["root_passphrase"] == "[hidden]"
    assert (entry["size"], entry["level"], entry["event"]) == (3, "info", "stored")


def test_an_exception_is_logged_without_its_secret(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad {KEY}")
    except ValueError:
        structlog.get_logger("t").exception("failed")
    entry = json.loads(lines.getvalue())
    assert "ValueError" in entry["exception"]
    assert "AAAA" not in entry["exception"]


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    structlog.get_logger("t").debug("quiet")
    assert lines.getvalue() == ""
