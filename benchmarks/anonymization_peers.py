"""Run by the interpreter of `PEERS_PYTHON`: what peers measure, and make of Adult.

`pycanon CSV QUASI,… SENSITIVE` prints k, l, entropy l and t; `anonypy`, `anonypyx` and `anjana`
print CPU-seconds and rows. Each needs its package in that interpreter and nothing of ours, and is
ended (SIGXCPU) after `MOST_SECONDS` of CPU time.
"""

# mypy: ignore-errors
import json
import resource
import sys
import time
from pathlib import Path

MOST_SECONDS = 180


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


def anonypyx(file: str, k: str) -> dict:
    """Mondrian by anonypyx; all columns but the last are quasi-identifiers."""
    import anonypyx as peer
    import pandas as pd

    table = pd.read_csv(file, sep=";")
    for name in table.columns:
        if table[name].dtype == object:
            table[name] = table[name].astype("category")
    started = time.process_time()
    work = peer.Anonymiser(
        table, k=int(k), algorithm="Mondrian", feature_columns=list(table.columns[:-1]),
        sensitive_column=table.columns[-1],
    )  # fmt: skip
    made = work.anonymise()
    return {"seconds": time.process_time() - started, "rows": len(made)}


def anjana(file: str, k: str, suppression: str, sensitive: str = "", t: str = "") -> dict:
    """Full-domain generalization by anjana; all columns but the sensitive one are generalized."""
    import pandas as pd
    from anjana.anonymity import k_anonymity, t_closeness

    table = pd.read_csv(file, sep=";", dtype=str)
    trees = {}
    for name in table.columns:
        rows = pd.read_csv(
            Path(file).parent / f"adult_hierarchy_{name}.csv", sep=";", header=None, dtype=str
        )
        trees[name] = {level: rows[level].to_numpy() for level in rows.columns}
    started = time.process_time()
    share = float(suppression) * 100
    quasi = [name for name in table.columns if name != sensitive]
    if sensitive:
        made = t_closeness(table, [], quasi, sensitive, int(k), float(t), share, trees)
    else:
        made = k_anonymity(table, [], quasi, int(k), share, trees)
    return {"seconds": time.process_time() - started, "rows": len(made)}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 5))
    work = {
        "pycanon": pycanon,
        "anonypy": anonypy,
        "anonypyx": anonypyx,
        "anjana": anjana,
    }[sys.argv[1]]
    print(json.dumps(work(*sys.argv[2:])))
