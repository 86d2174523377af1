"""One file on its way through `strongroom mask`: looked at, read again, and written masked."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from strongroom.engines.privacy.mask.plan import MaskPlan
from strongroom.engines.privacy.mask.policy import Method
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, LeftOut, TableReport
from strongroom.engines.reading.emails import messages_of_mbox, one_message
from strongroom.engines.reading.json_values import PLAIN_VALUES
from strongroom.engines.reading.sniffing import is_other_kind
from strongroom.engines.reading.source import Budget, Source, chunks_of
from strongroom.engines.reading.types import Form, ReadTable, Unread
from strongroom.errors import (
    ConflictError,
    TableError,
    UsageError,
)
from strongroom.faces.cli import explaining, masked_files, output
from strongroom.faces.cli.drafts import draft, require_apart
from strongroom.faces.cli.files import (
    OpenedFile,
    WalkLimits,
)
from strongroom.faces.cli.masked_books import Sheet, workbook_bytes
from strongroom.faces.cli.masked_mail import MailMasking
from strongroom.faces.cli.masking import Masking, VaultFile, effect_of
from strongroom.faces.cli.study import StudyOptions, TableStudy, inner_name, study, tables_of

_SPOOLED_BYTES = 64 << 20
"""Masked data for stdout that is held in memory; more of it waits in a file without a name."""
_COPIED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """What was asked for.

    Attributes:
        to: file or folder; None: stdout.
        form_to: what is written, whatever the ending of `to`; None: as that says.
        html: where to write the page of before and after.
        explain: show, and write nothing.
        show_values: with `explain`, also where stdout is no terminal.
        beside: files that the run reads beside the data, which no output may replace: token vault,
            key, policy, types.
    """

    study: StudyOptions
    limits: WalkLimits
    masking: Masking
    to: Path | None
    form_to: Form | None
    html: Path | None
    force: bool
    explain: bool
    show_values: bool
    as_json: bool
    beside: tuple[Path, ...] = ()


@dataclass(slots=True)
class MaskDone:
    """What became of one file.

    Attributes:
        met: names of its columns, and paths in them, as a policy may name them.
        tables: names of its tables.
        unread: files in it that should have been read and could not.
    """

    shown: str
    outputs: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    met: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    unread: int = 0


class FileMasking:
    """One file on its way: looked at, then read again and masked."""

    def __init__(
        self,
        found: OpenedFile,
        options: MaskOptions,
        done: MaskDone,
        in_folder: bool,
        tell: Callable[[str, str, int], None],
        report: Callable[[FileReport, list[LeftOut]], None],
    ) -> None:
        self._found = found
        self._options = options
        self._done = done
        self._in_folder = in_folder
        self._tell = tell
        self._report = report
        self._unread: list[LeftOut] = []
        self._in_new_folder = False

    def run(self) -> None:
        """Look, then explain or write."""
        looked = list(
            study(self._found.handle, self._name, self._options.study, unread=self._note,
                  watch=partial(self._tell, self._found.shown))
        )  # fmt: skip
        self._report(self._reported(looked), self._unread)
        if self._options.explain:
            for one in looked:
                explaining.explain(self._found.shown, one, self._options.masking,
                                   show_values=self._options.show_values,
                                   as_json=self._options.as_json)  # fmt: skip
                self._count(one, self._options.masking.plan(one))
            return
        self._say_where_nothing_is_personal(looked)
        self._write(looked)

    @property
    def _name(self) -> str:
        return self._found.inside.name

    def _note(self, one: Unread) -> None:
        self._unread.append(LeftOut(one.name, one.error.message))
        self._done.unread += not is_other_kind(one.error, one.name)

    def _reported(self, looked: list[TableStudy]) -> FileReport:
        tables = tuple(
            TableReport(
                one.name, one.findings,
                effect_of(one, self._options.masking) if self._options.html is not None else None,
            )
            for one in looked
        )  # fmt: skip
        return FileReport(self._found.shown, looked[0].form.value if looked else "", tables)

    def _say_where_nothing_is_personal(self, looked: list[TableStudy]) -> None:
        if looked and not any(
            wording.personal(one.findings) or any(wording.inside(c) for c in one.findings.columns)
            for one in looked
        ):
            shown = output.clean(self._found.shown)
            output.words(
                f"no personal data was found in {shown}: what is masked is so for its shape alone"
            )

    def _count(self, one: TableStudy, plan: MaskPlan) -> None:
        self._done.met.update(one.schema.names)
        self._done.tables.add(one.name)
        for mask in plan.masks:
            self._done.met.add(mask.column)
            place = f"{one.name}/{mask.column}" if one.name else mask.column
            self._done.columns[wording.shown_name(place)] = str(mask.rule.method)

    def _write(self, looked: list[TableStudy]) -> None:
        if not looked:
            return
        self._in_new_folder = self._needs_folder(looked)
        if self._stays_whole(looked):
            [target] = self._targets(looked[:1])
            is_mail = looked[0].form in masked_files.MAILS
            (self._write_mail if is_mail else self._write_book)(looked, target)
            return
        targets = self._targets(looked)
        if self._is_plain_text(looked) and self._form(looked[0]) in masked_files.TEXTS:
            self._write_text(looked[0], targets[0])
            return
        for one, target, table in zip(looked, targets, self._again(), strict=True):
            self._require_same(one, table)
            self._write_table(one, table, target)

    def _again(self) -> Iterator[ReadTable]:
        """The tables of the file once more."""
        self._found.handle.seek(0)
        return tables_of(self._found.handle, self._name, self._options.study,
                         unread=lambda _one: None)  # fmt: skip

    def _require_same(self, one: TableStudy, table: ReadTable) -> None:
        if table.schema != one.schema or inner_name(table, self._name) != one.name:
            raise TableError("the file has changed while it was read")

    def _form(self, one: TableStudy) -> Form:
        """What a table is written as."""
        to, is_mail = self._options.to, self._is_mail(one)
        if self._is_folder_target or self._in_new_folder:
            same = Form.JSONL if one.form in masked_files.MAILS and not is_mail else one.form
            if self._in_new_folder and same is Form.XLSX:
                same = Form.CSV  # sheets that do not stay together
            to = Path(masked_files.named_as(same))
        return masked_files.out_form(one.form, to, stated=self._options.form_to, mails=is_mail)

    @cached_property
    def _is_packed(self) -> bool:
        return masked_files.is_packed(self._found.handle)

    def _is_mail(self, one: TableStudy) -> bool:
        """The file itself is mail, and no table in an archive or attachment is meant."""
        return one.form in masked_files.MAILS and not one.name and not self._is_packed

    def _stays_whole(self, looked: list[TableStudy]) -> bool:
        """A mail that is written as mail, or a workbook as one: one file comes of one."""
        first = looked[0]
        if self._is_mail(first):
            return self._form(first) in masked_files.MAILS
        is_book = all(one.form is Form.XLSX and "/" not in one.name for one in looked)
        return is_book and self._form(first) is Form.XLSX

    def _needs_folder(self, looked: list[TableStudy]) -> bool:
        """Several tables go where no file of one form is named: a folder is made of it."""
        to = self._options.to
        if self._is_folder_target or len(looked) == 1 or to is None:
            return False
        return not masked_files.is_file_name(to)

    @property
    def _is_folder_target(self) -> bool:
        to = self._options.to
        return self._in_folder or (to is not None and to.is_dir())

    def _is_plain_text(self, looked: list[TableStudy]) -> bool:
        """A text that lies there as it is: packed ones come as the rows that were read."""
        if len(looked) != 1 or looked[0].form not in masked_files.TEXTS or looked[0].name:
            return False
        return looked[0].encoding is not None and not self._is_packed

    def _targets(self, looked: list[TableStudy]) -> list[Path | None]:
        """Where each table goes; None for stdout."""
        to, alone = self._options.to, len(looked) == 1 and not self._in_new_folder
        inside = self._found.inside
        places = [
            masked_files.place_in_folder(inside, one.name, self._form(one), alone=alone)
            for one in looked
        ]
        if self._is_folder_target:
            assert to is not None  # noqa: S101 # a folder is masked into a folder
            return [to / place for place in masked_files.distinct(places)]
        if alone:
            return [to]
        if to is None or not self._in_new_folder:
            raise UsageError(
                f"the file holds {len(looked)} tables", next_step="give a folder with --output"
            )
        return [to / one for one in masked_files.distinct([p.relative_to(inside) for p in places])]

    def _write_table(self, one: TableStudy, table: ReadTable, target: Path | None) -> None:
        masking = self._options.masking
        plan = masking.plan(one)
        form = self._form(one)
        if form in masked_files.TEXTS:
            pieces = masked_files.joined(masking.masked(table.batches, plan))
        else:
            pieces = masked_files.table_bytes(
                masking.masked(table.batches, plan), plan.schema, form,
                name=one.name.rpartition("/")[2] or Path(self._name).stem,
                plain=PLAIN_VALUES in one.remarks,
            )  # fmt: skip
        self._put(pieces, target)
        self._say_of(one, plan)

    def _write_book(self, looked: list[TableStudy], target: Path | None) -> None:
        """All sheets of a workbook as one."""
        masking = self._options.masking
        plans = [masking.plan(one) for one in looked]

        def sheets() -> Iterator[Sheet]:
            for one, plan, table in zip(looked, plans, self._again(), strict=True):
                self._require_same(one, table)
                yield Sheet(one.name, plan.schema, masking.masked(table.batches, plan))

        self._put(workbook_bytes(sheets()), target)
        for one, plan in zip(looked, plans, strict=True):
            self._say_of(one, plan)

    def _write_mail(self, looked: list[TableStudy], target: Path | None) -> None:
        """A mail, or a mailbox, without attachments."""
        one, limits = looked[0], self._options.study.limits
        masking = self._options.masking
        mail = MailMasking(
            masking.text_masker(one.form), masking.plan(one), masking.key, self._leave_out
        )
        self._found.handle.seek(0)
        source = Source(
            chunks_of(self._found.handle), Budget(limits.expanded_bytes, limits.seconds),
            max_read=limits.message_bytes,
        )  # fmt: skip
        cut = messages_of_mbox if one.form is Form.MBOX else one_message
        if self._form(one) is Form.MBOX:
            pieces = mail.mailbox(cut(source, limits))
        else:
            pieces = map(mail.message, cut(source, limits))
        self._put(pieces, target)
        self._count(one, mail.plan)
        self._done.columns = mail.methods()
        if not self._in_folder:
            for name, method in mail.methods().items():
                output.words(f"  {name}: {method}")
        output.words("  in texts, what the finder misses stays in clear")

    def _leave_out(self, name: str) -> None:
        if any(one.path == f"{self._name}/{name}" for one in self._unread):
            return  # it is said with what could not be read
        shown = wording.clean(f"{self._found.shown}/{name}", wording.MAX_PATH)
        output.words(output.clean(f"left out: {shown}: attachments do not go into a masked mail"))

    def _say_of(self, one: TableStudy, plan: MaskPlan) -> None:
        """What was done to a table, in words."""
        self._count(one, plan)
        if not self._in_folder:
            for remark in one.remarks:
                output.words(f"  {remark}")
            for mask in plan.masks:
                name = wording.shown_name(mask.column)
                output.words(f"  {name}: {mask.rule.method} ({mask.reason})")
        if any(mask.rule.method is Method.MASK_SPANS for mask in plan.masks):
            output.words("  in texts, what the finder misses stays in clear")

    def _write_text(self, one: TableStudy, target: Path | None) -> None:
        self._found.handle.seek(0)
        masker = self._options.masking.text_masker(one.form)
        pieces = masked_files.text_bytes(
            self._found.handle, one.encoding or "utf-8", masker, one.form,
            row_bytes=self._options.study.limits.row_bytes,
        )  # fmt: skip
        self._put(pieces, target)
        self._done.columns["text"] = str(Method.MASK_SPANS)
        self._done.met.update(one.schema.names)
        self._done.tables.add(one.name)
        if not self._in_folder:
            output.words(
                "what was found in the text is masked; what the finder misses stays in clear"
            )

    def _put(self, pieces: Iterator[bytes], target: Path | None) -> None:
        """To stdout, or to a file that appears when it is whole; tokens are kept before that."""
        vault = self._options.masking.vault
        if target is None:
            for piece in pieces if vault is None else _kept_first(pieces, vault):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        self._refuse_input(target)
        with draft(target, force=self._options.force) as file:
            for piece in pieces:
                file.write(piece)
            if vault is not None:
                vault.save()
        self._done.outputs.append(str(target))

    def _refuse_input(self, target: Path) -> None:
        """The file that is read is only replaced by name and with --force; never through a link.

        What else the run reads is not replaced at all.
        """
        require_apart([target], self._options.beside)
        if self._options.force or not target.exists():
            return
        found = target.stat()
        if (found.st_dev, found.st_ino) == self._found.identity:
            raise ConflictError(
                f"`{target}` is the file that is masked", next_step="give another name"
            )


def _kept_first(pieces: Iterator[bytes], vault: VaultFile) -> Iterator[bytes]:
    """The same pieces, once the vault holds every token in them: a stream cannot be taken back."""
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as held:
        for piece in pieces:
            held.write(piece)
        vault.save()
        held.seek(0)
        while piece := held.read(_COPIED_BYTES):
            yield piece
