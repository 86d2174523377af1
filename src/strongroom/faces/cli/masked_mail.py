"""A message or mailbox masked into one of the same structure: headers, texts and pages.

Nothing is copied that is not looked at: the mail is built anew. People in address headers become
what the policy says of `person_name` and `email`, at a domain that nobody has; ids of messages are
hashed, so that threads hold together; other headers keep their name only. Attachments are left out,
and where each was, a line says so.

Source: RFC 5322, RFC 2045 to 2047, RFC 4155 (mbox), RFC 2606 (`.invalid`).
"""

import email
import email.policy
import email.utils
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.header import Header
from email.message import Message

from strongroom.engines.privacy.mask.hiding import REDACTED, hash_text
from strongroom.engines.privacy.mask.pages import mask_page
from strongroom.engines.privacy.mask.plan import MaskPlan
from strongroom.engines.privacy.mask.policy import REDACT, MaskRule, Method
from strongroom.engines.privacy.mask.texts import TextMasker
from strongroom.engines.reading.emails import decoded_header, decoded_text, header_text
from strongroom.errors import TableError

NO_DOMAIN = "masked.invalid"
_ADDRESSES = {
    name: name if name in {"from", "to", "cc", "bcc", "reply-to"} else "headers"
    for name in (
        "from", "to", "cc", "bcc", "reply-to", "sender", "return-path", "delivered-to", "errors-to",
        "x-original-to", "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender",
        "disposition-notification-to",
    )
}  # fmt: skip
"""Headers that hold addresses, and the column whose rule counts for them."""
_IDS = frozenset({"message-id", "in-reply-to", "references", "resent-message-id", "content-id"})
_DATES = frozenset({"date", "resent-date"})
_STRUCTURE = frozenset({"mime-version", "content-type", "content-transfer-encoding",
                        "content-disposition", "content-length", "lines"})  # fmt: skip  # names
_MULTIPARTS = frozenset({"mixed", "alternative", "related", "digest", "parallel"})
_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
_ID = re.compile(r"<[^<>]*>|[^\s<>]+")
_LOCAL = re.compile(r"[A-Za-z0-9._+-]{1,64}")
_UNSAFE_LOCAL = re.compile(r"[^A-Za-z0-9._+-]+")
_ENDING = re.compile(r"(?s)(.*?)((?:\.[a-z]{2,4})?)")
_ENVELOPE = b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"
"""Begins a message in a mailbox; who sent it and when is nobody's business."""
_FROM = re.compile(rb"(?m)^(>*From )")
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


@dataclass(slots=True)
class MailMasking:
    """Masks messages one after the other.

    Attributes:
        left_out: told of each attachment: number of the message and its name.
    """

    masker: TextMasker
    plan: MaskPlan
    key: bytes
    left_out: Callable[[str], None]
    _rules: dict[str, MaskRule] = field(init=False)
    _number: int = field(init=False, default=0)
    _part: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._rules = {mask.column: mask.rule for mask in self.plan.masks}

    def methods(self) -> dict[str, str]:
        """What is done to the headers and texts, in words, by the name of a column."""
        told = {}
        for column in ("from", "to", "cc", "bcc", "reply-to"):
            named = self._named(column)
            told[column] = str(named.method) if named else "as `person_name` and `email`"
        for column in ("subject", "date", "body", "headers"):
            told[column] = str(self._rules.get(column, REDACT).method)
        return told | {"attachments": "left out"}

    def message(self, content: bytes) -> bytes:
        """One message, masked. Raises: TableError where it cannot be read."""
        self._number += 1
        self._part = 0
        parsed = email.message_from_bytes(content, policy=email.policy.compat32)
        try:
            return self._message(parsed).as_bytes()
        except (RecursionError, email.errors.MessageError, LookupError, ValueError, TypeError,
                AttributeError, AssertionError, OverflowError):  # fmt: skip
            # As when it is read: what the standard library raises on malformed messages is not
            # documented.
            raise TableError(f"message {self._number} cannot be masked: it is damaged") from None

    def mailbox(self, contents: Iterable[bytes]) -> Iterator[bytes]:
        """Messages as a mailbox (RFC 4155), in the quoting of mboxrd."""
        for content in contents:
            masked = self.message(content)
            yield _ENVELOPE + _FROM.sub(rb">\1", masked) + b"\n"

    def _message(self, message: Message) -> Message:
        made = Message()
        headers = [(str(name), header_text(value)) for name, value in message.items()]
        for name, value in headers:
            if name.lower() not in _STRUCTURE and _NAME.fullmatch(name):
                shown = self._header(name.lower(), value)
                if shown is not None:
                    plain = _one_line(shown)
                    made[name] = plain if plain.isascii() else Header(plain, "utf-8").encode()
        made["MIME-Version"] = "1.0"
        self._fill(made, message)
        return made

    # ---- headers ----

    def _header(self, name: str, value: str) -> str | None:
        """What stands in a header instead; None: the header is left out."""
        if name in _ADDRESSES:
            column = _ADDRESSES[name]
            named = self._named(column)
            if named is not None and named.method in (Method.KEEP, Method.DROP):
                return decoded_header(value) if named.method is Method.KEEP else None
            return self._addresses(value, named if column != "headers" else None)
        if name in _IDS:
            hashed = (hash_text(one, self.key, "message_id") for one in _ID.findall(value))
            return " ".join(f"<{one}@{NO_DOMAIN}>" for one in hashed)
        if name in _DATES:
            return self._date(decoded_header(value))
        return self._text(decoded_header(value), name if name == "subject" else "headers")

    def _addresses(self, value: str, rule: MaskRule | None) -> str:
        pairs = [pair for pair in email.utils.getaddresses([value]) if any(pair)]
        if not pairs:
            return REDACTED
        shown = []
        for written, address in pairs:
            name = decoded_header(written)
            kind = "email" if "@" in name else "person_name"
            masked_name = _one_line(self.masker.mask_value(name, kind, rule)) if name else ""
            masked = self.masker.mask_value(address, "email", rule) if address else ""
            shown.append(email.utils.formataddr((masked_name, _address(masked))))
        return ", ".join(shown)

    def _date(self, value: str) -> str | None:
        """The date as it stands, or the year of it; None where the rule leaves less."""
        rule = self._rules.get("date", REDACT)
        if rule.method is Method.KEEP:
            return value
        if rule.method is not Method.GENERALIZE:
            return None
        try:
            year = email.utils.parsedate_to_datetime(value).year
        except (ValueError, TypeError, OverflowError):
            return None
        return f"01 Jan {year:04} 00:00:00 -0000"

    def _text(self, value: str, column: str) -> str | None:
        """A text by the rule of its column; None where that leaves it out."""
        rule = self._rules.get(column, REDACT)
        if rule.method is Method.DROP:
            return None
        if rule.method is Method.KEEP and self._named(column) is not None:
            return value
        # A column that stays because nothing was found in a sample is looked at all the same.
        if rule.method in (Method.MASK_SPANS, Method.KEEP):
            return self.masker.mask(value)
        return REDACTED

    def _named(self, column: str) -> MaskRule | None:
        named = self.plan.policy.named_rule(column)
        return None if named is None else named[0]

    # ---- parts ----

    def _fill(self, made: Message, part: Message) -> None:
        """Give `made` the content of `part`, masked, with the headers that say what it is."""
        payload = part.get_payload()
        kind, subtype = part.get_content_maintype(), part.get_content_subtype()
        given = payload if isinstance(payload, list) else []
        inner = [one for one in given if isinstance(one, Message)]
        if kind == "multipart" and inner:
            made["Content-Type"] = f"multipart/{subtype if subtype in _MULTIPARTS else 'mixed'}"
            for one in inner:
                below = Message()
                self._fill(below, one)
                made.attach(below)
        elif part.get_content_type() == "message/rfc822" and len(inner) == 1:
            made["Content-Type"] = "message/rfc822"
            made.set_payload([self._message(inner[0])])
        else:
            self._leaf(made, part, is_list=bool(inner))

    def _leaf(self, made: Message, part: Message, *, is_list: bool) -> None:
        self._part += 1
        kind = part.get_content_type()
        name = decoded_header(part.get_filename() or "").replace("/", "_")
        is_text = kind in {"text/plain", "text/html"} and not name and not is_list
        if is_text and part.get_content_disposition() != "attachment":
            text = decoded_text(part).replace("\r\n", "\n")
            _set_text(made, self._body(text, is_page=kind == "text/html"), kind)
            return
        name = name or f"part-{self._part}"
        self.left_out(f"{self._number}/{name}")
        stem, ending = _ENDING.fullmatch(name).groups()  # type: ignore[union-attr] # any name fits
        shown = f"[attachment left out: {self.masker.mask(stem)}{ending}]\n"
        _set_text(made, shown, "text/plain")

    def _body(self, text: str, *, is_page: bool) -> str:
        rule = self._rules.get("body", REDACT)
        if is_page and rule.method in (Method.MASK_SPANS, Method.KEEP):
            if rule.method is Method.KEEP and self._named("body") is not None:
                return text
            return mask_page(text, self.masker.mask_pieces)
        return self._text(text, "body") or ""


def _set_text(made: Message, text: str, kind: str) -> None:
    made["Content-Type"] = kind
    made.set_payload(text, _UTF8)


def _address(masked: str) -> str:
    """An address for what a mask made of one, which reaches nobody unless it is a stand-in's."""
    local, at, domain = masked.rpartition("@")
    if at and _LOCAL.fullmatch(local) and re.fullmatch(r"[A-Za-z0-9.-]{1,253}", domain):
        return masked
    plain = _UNSAFE_LOCAL.sub("-", masked).strip("-.")[:64] or "redacted"
    return f"{plain}@{NO_DOMAIN}"


def _one_line(text: str) -> str:
    """A header's value, with no line of its own making."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
