"""Run by the interpreter of `PEERS_PYTHON`: what peers measure, and make of Adult.

`pycanon CSV QUASI,… SENSITIVE` prints k, l, entropy l and t; `anonypy` and `anjana` print seconds
and rows. Each needs its package in that interpreter and nothing of ours.
"""

# mypy: ignore-errors
import json
import sys
import time
from pathlib import Path


def pycanon(file: str, quasi: str, sensitive: str) -> dict:
    """What pycanon counts in a table."""
    import pandas as pd
    from pycanon import anonymity

    table = pd.read_csv(file, dtype=str)
    columns = quasi.split(",")
    found = {"k": anonymity.k_anonymity(table, columns)}
    if sensitive:
        found["l"] = anonymity.l_diversity(table, columns, [sensitive])
        found["entropy_l"] = anonymity.entropy_l_diversity(table, columns, [sensitive])
        found["t"] = anonymity.t_closeness(table, columns, [sensitive])
    return {name: float(value) for name, value in found.items()}


def anonypy(file: str, k: str) -> dict:
    """Mondrian by anonypy; all columns but the last are quasi-identifiers."""
    import anonypy as peer
    import pandas as pd

    table = pd.read_csv(file, sep=";")
    for name in table.columns:
        if table[name].dtype == object:
            table[name] = table[name].astype("category")
    started = time.process_time()
    rows = peer.Preserver(table, list(table.columns[:-1]), table.columns[-1]).anonymize_k_anonymity(
        k=int(k)
    )
    return {"seconds": time.process_time() - started, "rows": len(rows)}


def anjana(file: str, k: str, suppression: str) -> dict:
    """Full-domain generalization by anjana; all columns are quasi-identifiers."""
    import pandas as pd
    from anjana.anonymity import k_anonymity

    table = pd.read_csv(file, sep=";", dtype=str)
    trees = {}
    for name in table.columns:
        rows = pd.read_csv(
            Path(file).parent / f"adult_hierarchy_{name}.csv", sep=";", header=None, dtype=str
        )
        trees[name] = {level: rows[level].to_numpy() for level in rows.columns}
    started = time.process_time()
    made = k_anonymity(table, [], list(table.columns), int(k), float(suppression) * 100, trees)
    return {"seconds": time.process_time() - started, "rows": len(made)}


if __name__ == "__main__":
    work = {"pycanon": pycanon, "anonypy": anonypy, "anjana": anjana}[sys.argv[1]]
    print(json.dumps(work(*sys.argv[2:])))
