"""Files with made-up people, for the tests of `discover` and `mask`."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NAMES = ("Jane Roe", "John Doe", "Mary Major", "Peter Quint", "Ann Other", "Tom Bowler",
         "Rita Hayes", "Hugo Lind", "Olga Petrov", "Sven Berg")  # fmt: skip
TYPES = {"name": "person_name", "email": "email", "visits": None}


def rows() -> list[dict[str, object]]:
    """Ten people with name, e-mail address and a number of visits."""
    return [
        {"name": name, "email": f"{name.lower().replace(' ', '.')}@example.org", "visits": at % 4}
        for at, name in enumerate(NAMES)
    ]


def as_csv(delimiter: str = ",") -> str:
    """The people as CSV."""
    lines = [delimiter.join(("name", "email", "visits"))]
    lines += [delimiter.join(str(value) for value in row.values()) for row in rows()]
    return "\n".join(lines) + "\n"


def write(folder: Path, name: str) -> Path:
    """The people in the form that the ending of `name` says."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    ending = file.suffix
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows()), file)
    elif ending == ".arrow":
        table = pa.Table.from_pylist(rows())
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    elif ending == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    elif ending == ".json":
        file.write_text(json.dumps(rows()))
    elif ending == ".tsv":
        file.write_text(as_csv("\t"))
    else:
        file.write_text(as_csv())
    return file


def read_back(file: Path) -> list[dict[str, object]]:
    """The rows of a masked file, by its ending."""
    ending = file.suffix
    if ending == ".parquet":
        found: list[dict[str, object]] = pq.read_table(file).to_pylist()
    elif ending == ".arrow":
        found = pa.ipc.open_stream(file.read_bytes()).read_all().to_pylist()
    elif ending == ".jsonl":
        found = [json.loads(line) for line in file.read_text().splitlines()]
    elif ending == ".json":
        found = json.loads(file.read_text())
    else:
        import csv

        delimiter = "\t" if ending == ".tsv" else ","
        found = list(csv.DictReader(io.StringIO(file.read_text()), delimiter=delimiter))
    return found
