"""What a person and a script see: data on stdout, words on stderr, errors with a next step."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from strongroom.errors import StrongroomError

if TYPE_CHECKING:
    from rich.table import Table

    from strongroom.faces.client.transfer import Progress

MAX_CELL_CHARACTERS = 200
MAX_FIELD_CHARACTERS = 2_000
"""Of a value that stands beside its name, where a long one has room."""


def data(value: Any, *, as_json: bool) -> None:  # noqa: ANN401 # JSON
    """Show the answer of a command on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif value is not None:
        rows = _rows(value)
        if sys.stdout.isatty():
            _table(rows)
        else:
            _lines(rows)


def say(text: str, *, state: str = "") -> None:
    """A line of data on stdout, after the mark of a state where there is one."""
    sys.stdout.write(f"{mark(state)}  {clean(text)}\n" if state else f"{clean(text)}\n")


def words(text: str) -> None:
    """Say something to the person, on stderr."""
    sys.stderr.write(text + "\n")


def error(met: StrongroomError, *, as_json: bool) -> None:
    """Show an error on stderr."""
    if as_json:
        shown: dict[str, object] = {
            "code": met.code, "detail": met.message, "next_step": met.next_step,
        }  # fmt: skip
        if met.entry is not None:
            shown["log_entry"] = met.entry
        sys.stderr.write(json.dumps({"error": shown}, ensure_ascii=False) + "\n")
        return
    words(f"{_paint('error', '1;31', sys.stderr)}: {clean(met.message)}")
    words(f"  next: {clean(met.next_step)}  [{met.code}]")
    if met.entry is not None and sys.stderr.isatty():
        words(f"  recorded as entry {met.entry} of the log")


def wants_json(arguments: list[str]) -> bool:
    """Whether `--json` was given, for errors that come before the options are understood."""
    return "--json" in arguments or bool(os.environ.get("STRONGROOM_JSON"))


def clean(text: str) -> str:
    """`text` without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def mark(state: str) -> str:
    """`ok`, `warn` or `fail` in its colour where stderr or stdout has any."""
    colour = {"ok": "32", "warn": "33", "fail": "1;31"}[state]
    return _paint(f"{state:<4}", colour, sys.stdout)


def _paint(text: str, colour: str, stream: Any) -> str:  # noqa: ANN401 # a text stream
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[{colour}m{text}\x1b[0m"


def _rows(value: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 # JSON
    """Rows to show: a list as it is, an object that only holds a list as that list."""
    if isinstance(value, Mapping):
        lists = [v for v in value.values() if isinstance(v, list)]
        if len(value) == len(lists) == 1:
            value = lists[0]
        else:
            return _fields(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [v if isinstance(v, Mapping) else {"value": v} for v in value]
    return [{"value": value}]


def _fields(thing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"field": name, "value": value} for name, value in thing.items()]


def _cell(value: Any) -> str:  # noqa: ANN401 # JSON
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        told = [str(one) for one in value]
        return clean(("; " if any(", " in one for one in told) else ", ").join(told))
    if isinstance(value, list) and all(_is_share(one) for one in value):
        return clean(
            ", ".join(f"{one['title'] or one['type']} {one['share']:.0%}" for one in value)
        )
    return clean(json.dumps(value, ensure_ascii=False))


def _is_share(one: Any) -> bool:  # noqa: ANN401 # JSON
    """Whether it is a type with a share, as what stands inside the texts of a column."""
    return isinstance(one, Mapping) and {"type", "title", "share"} <= one.keys()


def _seen(value: Any) -> str:  # noqa: ANN401 # JSON
    """A cell for a person: figures to six digits, estimates with their interval."""
    if isinstance(value, float):
        return f"{value:.6g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else _cell(value)
    if _is_estimate(value):
        return f"{_seen(value['value'])} ({_seen(value['low'])} to {_seen(value['high'])})"
    return _cell(value)


def _is_estimate(value: Any) -> bool:  # noqa: ANN401 # JSON
    """Whether it is a value with noise and the interval that holds the one without."""
    return isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}


def _spread(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with what stands inside its cells beside them, as the key and the values of a group."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        inner = value if isinstance(value, Mapping) and not _is_estimate(value) else {name: value}
        for part, one in inner.items():
            told[part if part not in told else f"{name}.{part}"] = one
    return told


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def _lines(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as tab-separated lines with a heading, for other programs."""
    if not rows:
        return
    columns = _columns(rows)
    if columns == ["field", "value"]:
        rows = list(_unfolded(rows))
    else:
        sys.stdout.write("\t".join(clean(name) for name in columns) + "\n")
    for row in rows:
        sys.stdout.write("\t".join(_cell(row.get(name)) for name in columns) + "\n")


def _unfolded(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Fields, and those of a thing inside the thing by both names with a point between."""
    for row in rows:
        if row["value"] and isinstance(row["value"], Mapping):
            parts = [{"field": f"{row['field']}.{name}", "value": value}
                     for name, value in row["value"].items()]  # fmt: skip
            yield from _unfolded(parts)
        else:
            yield row


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows for a person at a terminal: a table where it fits, else a block for each row.

    Long digests are cut, columns that are empty or say nothing new are left out, and things and
    lists of things inside a thing follow it as tables of their own. `--json` gives everything.
    """
    from rich.console import Console

    if not rows:
        words("nothing there")
        return
    console = Console()
    rows = [_in_local_time(row) for row in rows]
    columns = _columns(rows)
    if columns == ["field", "value"]:
        nested = [row for row in rows if _is_inner(row["value"])]
        console.print(_drawn([row for row in rows if row not in nested], columns, heads=False))
        for row in nested:
            console.print(clean(str(row["field"])), style="bold", markup=False)
            inner = row["value"]
            _table(_fields(inner) if isinstance(inner, Mapping) else inner)
        return
    rows = [_spread(row) for row in rows]
    columns = _columns(rows)
    told = [name for name in columns if _tells(rows, name)] or columns
    cells = [[_short(_seen(row.get(name))) for name in told] for row in rows]
    widths = [max(map(len, column)) for column in zip(told, *cells, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width:
        console.print(_drawn(rows, told, heads=True))
        return
    for row in rows:
        block = [
            {"field": name, "value": _short(_seen(row.get(name)))}
            for name in told
            if _cell(row.get(name))
        ]
        console.print(_drawn(block, ["field", "value"], heads=False))


def _in_local_time(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with its moments as a person reads them; other programs get them as they came."""
    if set(row) == {"field", "value"}:
        return {**row, "value": _moment(str(row["field"]), row["value"])}
    return {name: _moment(name, value) for name, value in row.items()}


def _moment(name: str, value: Any) -> Any:  # noqa: ANN401 # JSON
    """Seconds since 1970, or RFC 3339, as local time to the second; all else as it is."""
    if not name.endswith("_at") and name not in {"at", "time"}:
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value)
        else:
            return value
        if moment.tzinfo is None:
            return value
        return moment.astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return value


def _is_inner(value: Any) -> bool:  # noqa: ANN401 # JSON
    """Whether it is a thing, or a list of things, with anything in it."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return bool(value) and isinstance(value, Mapping) and not _is_estimate(value)


def _tells(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a column says something: not empty throughout, not the one workspace all lie in."""
    values = {_cell(row.get(name)) for row in rows}
    return values != {""} and not (name == "workspace" and len(values) == 1)


def _short(text: str) -> str:
    """A digest or another long hex text by its beginning."""
    if re.fullmatch(r"(sha256:)?[0-9a-f]{40,}", text):
        return text[:19] + "…"
    return text


def _drawn(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, heads: bool) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=heads)
    for name in columns:
        table.add_column(Text(clean(name)), overflow="fold")
    most = MAX_CELL_CHARACTERS if heads else MAX_FIELD_CHARACTERS
    for row in rows:
        cells = (_seen(row.get(name)) for name in columns)
        table.add_row(*(Text(_at_most(_short(cell) if heads else cell, most)) for cell in cells))
    return table


def _at_most(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@contextmanager
def working(title: str, *, quiet: bool = False) -> Iterator[Callable[[str, str, int], None]]:
    """A line on stderr while files are read: which, and how many rows; nothing off a terminal.

    Gives a function to call with file, table and rows. `quiet`: data goes to stdout meanwhile.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _file, _table, _rows: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def tell(file: str, table: str, rows: int) -> None:
            place = clean(f"{file}: {table}" if table else file)
            bar.update(task, description=f"{title} {place[-80:]}: {rows:,} rows")

        yield tell


@contextmanager
def stages(title: str) -> Iterator[Callable[[str, float], None]]:
    """A line on stderr while parts of some work are done; nothing off a terminal.

    Gives a function to call with the part's name and the share of it that is done.
    """
    if not sys.stderr.isatty():
        yield lambda _part, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda part, share: bar.update(
            task, description=f"{title}: {clean(part)}", completed=share
        )


@contextmanager
def progress(title: str) -> Iterator["Progress | None"]:
    """A bar on stderr while bytes go to or fro; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
               TransferSpeedColumn())  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
