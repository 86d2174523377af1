"""Run by the interpreter of `PEERS_PYTHON`: diffprivlib's answers to the queries of `dp_queries`.

Prints, for each epsilon and query, the median of absolute errors and the milliseconds of CPU time.
It needs diffprivlib in that interpreter and nothing of ours. Its neighbours differ by a changed
row, so that the number of rows is public and not hidden, which is less than what we promise; groups
that only the data knows it does not have.
"""

# mypy: ignore-errors
import json
import sys
import time
import warnings

import numpy as np

BOUNDS = (0, 100)


def main(file: str, rounds: str) -> dict:
    """Errors and times by epsilon and query."""
    from diffprivlib import tools

    warnings.simplefilter("ignore")
    given = np.load(file)
    ages, levels, bins = given["ages"], given["levels"], given["bins"]
    older, count = ages > given["older"], int(levels.max()) + 1
    groups = [ages[levels == level] for level in range(count)]
    within, edges = (-0.5, count - 0.5), (int(bins[0]), int(bins[-1]))
    queries = {
        "count": lambda e: [tools.count_nonzero(older, epsilon=e)],
        "sum": lambda e: [tools.sum(ages, epsilon=e, bounds=BOUNDS)],
        "mean": lambda e: [tools.mean(ages, epsilon=e, bounds=BOUNDS)],
        "variance": lambda e: [tools.var(ages, epsilon=e, bounds=BOUNDS)],
        "median": lambda e: [tools.quantile(ages, 0.5, epsilon=e, bounds=BOUNDS)],
        "quantile .9": lambda e: [tools.quantile(ages, 0.9, epsilon=e, bounds=BOUNDS)],
        "histogram": lambda e: tools.histogram(ages, epsilon=e, bins=bins, range=edges)[0],
        "groups, known": lambda e: tools.histogram(levels, epsilon=e, bins=count, range=within)[0],
        "means of groups": lambda e: [tools.mean(one, epsilon=e, bounds=BOUNDS) for one in groups],
    }
    found = {}
    for epsilon in given["epsilons"]:
        for name, ask in queries.items():
            right = given[f"right {name}"]
            # Its quantiles take twenty times as long as all else.
            times = int(rounds) // 4 if name in ("median", "quantile .9") else int(rounds)
            ask(epsilon)
            started = time.process_time()
            errors = [np.abs(np.array(ask(epsilon)) - right) for _ in range(times)]
            spent = (time.process_time() - started) / times
            found[f"{epsilon:g} {name}"] = [float(np.median(errors)), spent * 1e3]
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
