"""What is refused of an upload while it arrives."""

import pytest

from strongroom.engines.reading.types import Form
from strongroom.errors import TooLargeError
from strongroom.services.data.incoming import Incoming, in_rows

ROW = b"Ada,1\n" * 100


@pytest.mark.parametrize("form", [Form.CSV, Form.TSV, Form.JSONL, Form.AUTO])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_row_without_end_is_refused_while_it_arrives(form: Form, end: bytes) -> None:
    sent = 0

    def chunks() -> object:
        nonlocal sent
        yield ROW.replace(b"\n", end)
        for sent in range(1_000):  # noqa: B007 # looked at below
            yield b"x" * 100

    with pytest.raises(TooLargeError, match="too long"):
        list(in_rows(Incoming(chunks()), form, 1_000))  # type: ignore[arg-type] # it is iterable
    assert sent <= (700 if form is Form.AUTO else 10)  # of AUTO, 64 KiB are looked at first


def test_rows_in_pieces_pass_whole() -> None:
    content = b"name,n\n" + ROW * 50
    pieces = [content[at : at + 7] for at in range(0, len(content), 7)]
    assert b"".join(in_rows(Incoming(pieces), Form.CSV, 10)) == content


@pytest.mark.parametrize("form", [Form.JSON, Form.EML, Form.TEXT])
def test_other_forms_are_left_to_their_parser(form: Form) -> None:
    content = b"x" * 10_000
    assert b"".join(in_rows(Incoming([content[:5_000], content[5_000:]]), form, 100)) == content
