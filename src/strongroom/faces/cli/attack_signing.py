"""Signed reports of attacks: one statement about model, rows, plan and verdict, checked offline.

The statement is of the kind that a server makes of an assessment: DSSE around an in-toto Statement
v1. It lies beside the JSON report, and the page carries it at its end.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.crypto.signing import Signs, VerifyingKey
from strongroom.engines.robustness.assessment.plan import MAX_CHARACTERS
from strongroom.engines.robustness.assessment.running import Report
from strongroom.errors import TamperedError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.attack_inputs import Compared, Inputs, hashed, hashed_file
from strongroom.faces.cli.signers import Given, KeySigner, read_file
from strongroom.faces.cli.study import small_text
from strongroom.services.models.assessing import ASSESSMENT_TYPE

SUFFIX = ".sig"
"""After the name of a report: its signature."""
MAX_REPORT_BYTES = 64 << 20
_MARK = "<!-- signed statement -->\n"
_END = "</main>\n</body>\n</html>\n"
_ENVELOPE = re.compile(r'<pre id="envelope">([^<]*)</pre>')
_NEXT = "get report and signature again from where they were made, and make sure whose key it is"


@dataclass(frozen=True, slots=True)
class Signed:
    """Files that belong together.

    Attributes:
        report: JSON.
        page: HTML, or None.
        envelope: the signature.
    """

    report: bytes
    page: bytes | None
    envelope: bytes


@contextmanager
def signing_key(key: str, passphrase_file: str | None) -> Iterator[Signs]:
    """The key of a file in PEM, or of a device by its URI (`pkcs11:…`). Raises: as `Given`."""
    is_device = key.startswith("pkcs11:")
    given = Given(
        key=None if is_device else key,
        device_key=key if is_device else None,
        passphrase_file=passphrase_file,
    )
    with given.signer() as signer:
        assert isinstance(signer, KeySigner)  # noqa: S101 # no identity was given
        yield signer.key


def signed(
    key: Signs, report: Report, inputs: Inputs, content: bytes, page: str | None, at: datetime
) -> Signed:
    """A report with its statement.

    Args:
        content: the report as JSON, as it is written.
        page: as HTML, without a statement.
    """
    before = None if page is None else _before(page)
    told = statement(report, inputs, content, before, at)
    envelope = dsse.sign(told, [key])
    whole = None if before is None else before + _block(envelope).encode()
    return Signed(content, whole, envelope)


def statement(
    report: Report, inputs: Inputs, content: bytes, before: bytes | None, at: datetime
) -> Statement:
    """What an attack claims. Its subjects are the model's files; of an address, the report."""
    report_digest = sha256(content).hexdigest()
    subjects = tuple(Subject(name, digest) for name, digest in sorted(inputs.model.items()))
    predicate: dict[str, object] = {
        "kind": report.plan.name,
        "plan": report.plan.digest,
        "seed": report.plan.seed,
        "verdict": report.verdict.value,
        "report_sha256": report_digest,
        "assessed_at": at.isoformat(),
        "tests": {
            one.test: "broke off" if one.status is None else one.status.value for one in report.ran
        },
        "address": inputs.address,
        "rows": {name: dict(one) for name, one in inputs.rows.items()},
        "settings": dict(inputs.settings),
    }
    if before is not None:
        predicate["page_sha256"] = sha256(before).hexdigest()
    return Statement(subjects or (Subject("report", report_digest),), ASSESSMENT_TYPE, predicate)


def _before(page: str) -> bytes:
    head, found, _ = page.rpartition("</main>")
    assert found  # noqa: S101 # our own page
    return head.encode()


def _block(envelope: bytes) -> str:
    """The end of a page: the statement for people, and the envelope it came in."""
    text = envelope.decode()
    payload = dsse.from_base64(json.loads(text)["payload"])
    shown = html.escape(json.dumps(json.loads(payload), indent=1))
    return (
        f"{_MARK}<h2>Signed statement</h2>\n<p>SHA-256 of the statement: "
        f"{sha256(payload).hexdigest()}. Check this page with <code>strongroom verify PAGE "
        f"--public-key FILE</code>.</p>\n<details><summary>What was signed</summary>"
        f"<pre>{shown}</pre></details>\n<details><summary>The signature</summary>"
        f'<pre id="envelope">{html.escape(text, quote=False)}</pre></details>\n{_END}'
    )


# ---- checking ----


def run_verify_report(
    path: Path, *, signature: Path | None, public_key: Path | None, beside: Compared, as_json: bool
) -> None:
    """Verify a report against its statement and what it speaks of; say what was checked.

    Raises: UsageError: no key to trust. TamperedError: something is not what was signed.
    """
    if public_key is None:
        raise UsageError(
            "a report is verified against the key of whoever signed it",
            next_step="give it with --public-key FILE, from a source other than the report",
        )
    key = VerifyingKey.from_pem(read_file(public_key))
    content = read_file(path, MAX_REPORT_BYTES)
    is_page = content.startswith(b"<!doctype html>")
    if is_page:
        before, envelope = _parted(content)
    else:
        place = signature or path.with_name(path.name + SUFFIX)
        before, envelope = content, read_file(place, MAX_REPORT_BYTES)
    said = _opened(envelope, key)
    name = "page_sha256" if is_page else "report_sha256"
    _require(said.predicate.get(name) == sha256(before).hexdigest(), "the report")
    checked = ["report", *_compared(said, beside)]
    predicate = said.predicate
    output.words(
        f"verified: {', '.join(checked)}; signed by key {key.key_id[:16]} at "
        f"{output.clean(str(predicate.get('assessed_at')))}"
    )
    output.words(f"what it says of the model: {output.clean(str(predicate.get('verdict')))}")
    output.data(
        {"verified": "report of an attack", "checked": checked, "key_id": key.key_id,
         "model": {one.name: one.sha256 for one in said.subjects}, **predicate},
        as_json=as_json,
    )  # fmt: skip


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """What of a page is signed, and the envelope; every byte is one, or made from the other."""
    before, mark, rest = content.rpartition(_MARK.encode())
    found = _ENVELOPE.search(rest.decode("utf-8", "replace"))
    if not mark or found is None:
        raise TamperedError("the page carries no signed statement", next_step=_NEXT)
    envelope = html.unescape(found[1]).encode()
    try:
        is_whole = _block(envelope).encode() == mark + rest
    except (ValueError, KeyError, TypeError, RecursionError):
        is_whole = False
    _require(is_whole, "the page's end")
    return before, envelope


def _opened(envelope: bytes, key: VerifyingKey) -> Statement:
    try:
        said = dsse.verify(envelope, [key])
    except TamperedError as error:
        raise TamperedError(error.message, next_step=_NEXT) from None
    if said.predicate_type != ASSESSMENT_TYPE:
        raise TamperedError("the signature is of something else than an attack", next_step=_NEXT)
    _require(_is_as_written(envelope, key), "the form of the signature")
    return said


def _is_as_written(envelope: bytes, key: VerifyingKey) -> bool:
    """Whether each byte is as `dsse.sign` writes it; key ids and spare bits are not signed."""
    fields = json.loads(envelope)
    written = {
        "payload": b64encode(dsse.from_base64(fields["payload"])).decode(),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [
            {"keyid": key.key_id, "sig": b64encode(dsse.from_base64(one["sig"])).decode()}
            for one in fields["signatures"]
        ],
    }
    return json.dumps(written, separators=(",", ":")).encode() == envelope


def _compared(said: Statement, beside: Compared) -> list[str]:
    """What was compared and fits. Raises: TamperedError: something does not."""
    checked = []
    if beside.model is not None:
        found, _ = hashed(beside.model)
        _require(found == {one.name: one.sha256 for one in said.subjects}, "the model")
        checked.append("model")
    rows: Any = said.predicate.get("rows")
    for name, path in beside.rows.items():
        if path is None:
            continue
        [(_, digest)] = hashed_file(path)
        told = rows.get(name) if isinstance(rows, dict) else None
        _require(isinstance(told, dict) and told.get("sha256") == digest, f"the rows `{name}`")
        checked.append(f"rows {name}")
    if beside.plan is not None:
        text = small_text(beside.plan, MAX_CHARACTERS)
        digest = f"sha256:{sha256(text.encode()).hexdigest()}"
        _require(said.predicate.get("plan") == digest, "the plan")
        checked.append("plan")
    return checked


def _require(is_so: object, what: str) -> None:
    if not is_so:
        raise TamperedError(f"{what} is not what was signed", next_step=_NEXT)
