"""Excel workbooks (xlsx): sheets, shared strings and which numbers are dates; a stream of cells.

Formulas are never evaluated: the value that the spreadsheet program last stored is read. Macros,
links and pictures are not looked at.

Source: ECMA-376 part 1, sections 18.2 (workbook), 18.3 (worksheets), 18.4 (shared strings),
18.8.30 (number formats), 18.17.4 (dates).
"""

import io
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import re2

from strongroom.engines.reading.archives import Archive
from strongroom.engines.reading.source import Budget
from strongroom.engines.reading.types import ReadLimits
from strongroom.engines.reading.unpacking import Ratio
from strongroom.engines.reading.xml_parts import Attributes, XmlParser
from strongroom.errors import TableError, TooLargeError

_PART_BYTES = 32 << 20
"""Of the parts that are no cells and no strings: names of sheets, styles, relations."""
_MAX_PARTS = 10_000
_RELATIONS = "_rels/.rels"
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NO_DATE_CODES = re2.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_DATE_CODES = re2.compile(r"(?i)[ymdhs]")
_A_VALUE = re2.compile(rb"<(?:\w+:)?(?:v|t)[ >]")
_MAX_STRINGS = 1 << 23


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its name and the part that holds its cells."""

    name: str
    part: str


class SharedStrings:
    """The texts of a workbook by number; a cell that names one holds no copy of it."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """The next one. Raises: TooLargeError."""
        self._left -= len(text)
        if self._left < 0 or len(self._texts) >= _MAX_STRINGS:
            raise TooLargeError("the texts of the workbook are too large")
        self._texts.append(text)

    def get(self, number: int) -> str:
        """Text `number`, from 0. Raises: TableError where there is none."""
        if not 0 <= number < len(self._texts):
            raise TableError("a cell of the workbook names a text that is not there")
        return self._texts[number]


class Workbook:
    """An opened workbook.

    Attributes:
        sheets: in the order of their tabs; charts and macro sheets are left out.
        is_date: by number of a cell's style.
        from_1904: days are counted from 1904, as on old Macintosh computers.
        ratio: counts what its cells hold against the size of the file; texts as often as named.
    """

    def __init__(self, file: BinaryIO, limits: ReadLimits, budget: Budget) -> None:
        """Read all but the cells. Raises: TableError, TooLargeError, FormatError."""
        self._limits = limits
        self._archive = Archive(file, limits, budget, _MAX_PARTS)
        self.ratio = Ratio(limits, budget)
        self.ratio.packed_bytes = file.seek(0, io.SEEK_END)
        main = self._main_part()
        self.sheets: list[Sheet] = []
        self.from_1904 = False
        self.is_date: list[bool] = []
        self.strings = SharedStrings(limits.held_bytes)
        folder = posixpath.dirname(main)
        relations = self._relations(f"{folder}/_rels/{posixpath.basename(main)}.rels", folder)
        self._read_workbook(main, relations)
        if len(self.sheets) > limits.sheets:
            raise TooLargeError(f"the workbook has more than {limits.sheets} sheets")
        for kind, part in relations.values():
            if kind == "styles":
                self._read_styles(part)
            elif kind == "sharedStrings":
                self._read_strings(part)

    def pieces(self, sheet: Sheet) -> Iterator[bytes]:
        """The XML of a sheet's cells."""
        return self._part(sheet.part)

    def is_empty(self, sheet: Sheet) -> bool:
        """Whether it has no cell with a value, by the first of its XML."""
        head = next(self.pieces(sheet), b"")
        return len(head) < 1 << 16 and not _A_VALUE.search(head)

    def _part(self, name: str) -> Iterator[bytes]:
        if name not in self._archive.names:
            raise TableError("the workbook lacks one of its parts")
        return self._archive.pieces(name)

    def _main_part(self) -> str:
        for kind, part in self._relations(_RELATIONS, "").values():
            if kind == "officeDocument":
                return part
        raise TableError("the workbook lacks one of its parts")

    def _relations(self, name: str, folder: str) -> dict[str, tuple[str, str]]:
        """Kind and part by id."""
        found: dict[str, tuple[str, str]] = {}

        def start(element: str, attributes: Attributes) -> None:
            if element != "Relationship" or attributes.get("TargetMode") == "External":
                return
            target = attributes.get("Target", "")
            part = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            kind = attributes.get("Type", "").rpartition("/")[2]
            found[attributes.get("Id", "")] = (kind, posixpath.normpath(part))

        XmlParser(start, _nothing).whole(self._part(name), _PART_BYTES)
        return found

    def _read_workbook(self, name: str, relations: dict[str, tuple[str, str]]) -> None:
        def start(element: str, attributes: Attributes) -> None:
            if element == "workbookPr":
                self.from_1904 = attributes.get("date1904") in {"1", "true"}
            elif element == "sheet":
                key = next((v for k, v in attributes.items() if k.endswith(":id")), "")
                kind, part = relations.get(key, ("", ""))
                if kind == "worksheet":
                    self.sheets.append(Sheet(attributes.get("name", ""), part))

        XmlParser(start, _nothing).whole(self._part(name), _PART_BYTES)

    def _read_styles(self, name: str) -> None:
        formats: dict[str, bool] = {}
        inside = [False]

        def start(element: str, attributes: Attributes) -> None:
            if element == "numFmt":
                code = _NO_DATE_CODES.sub("", attributes.get("formatCode", "")[:1_000])
                formats[attributes.get("numFmtId", "")] = bool(_DATE_CODES.search(code))
            elif element == "cellXfs":
                inside[0] = True
            elif element == "xf" and inside[0]:
                number = attributes.get("numFmtId", "0")
                is_built_in = number.isdecimal() and int(number[:9]) in _DATE_FORMATS
                self.is_date.append(formats.get(number, is_built_in))

        def end(element: str) -> None:
            if element == "cellXfs":
                inside[0] = False

        XmlParser(start, end).whole(self._part(name), _PART_BYTES)

    def _read_strings(self, name: str) -> None:
        texts: list[str] = []
        state = {"t": False, "rPh": False}

        def start(element: str, _: Attributes) -> None:
            if element == "si":
                texts.clear()
            if element in state:
                state[element] = True

        def end(element: str) -> None:
            if element in state:
                state[element] = False
            if element == "si":
                self.strings.add("".join(texts))

        def text(piece: str) -> None:
            # What stands in `rPh` says how Japanese is pronounced, and is no text of the cell.
            if state["t"] and not state["rPh"]:
                texts.append(piece)

        # The markup around a text may be several times as long as the text.
        XmlParser(start, end, text).whole(self._part(name), 4 * self._limits.held_bytes)


def _nothing(_: str) -> None:
    """Ends of elements that do not matter."""
