"""Run by the interpreter of `PEERS_PYTHON`: diffprivlib's count, mean and median of a column.

Prints, for each epsilon, the mean absolute error and the milliseconds of CPU time. It needs
diffprivlib in that interpreter and nothing of ours. Its neighbours differ by a changed row, so that
the number of rows is public and not hidden, which is less than what we promise.
"""

# mypy: ignore-errors
import json
import sys
import time
import warnings

import numpy as np


def main(file: str, rounds: str) -> dict:
    """Errors and times by epsilon and query."""
    from diffprivlib import tools

    warnings.simplefilter("ignore")
    ages = np.load(file)
    queries = {
        "count": (lambda e: tools.count_nonzero(ages > 40, epsilon=e), (ages > 40).sum()),
        "mean": (lambda e: tools.mean(ages, epsilon=e, bounds=(0, 100)), ages.mean()),
        "median": (lambda e: tools.median(ages, epsilon=e, bounds=(0, 100)), np.median(ages)),
    }
    found = {}
    for epsilon in (0.1, 0.5, 1.0, 4.0):
        for name, (ask, right) in queries.items():
            ask(epsilon)
            started = time.process_time()
            errors = [abs(float(ask(epsilon)) - right) for _ in range(int(rounds))]
            spent = (time.process_time() - started) / int(rounds)
            found[f"{epsilon:g} {name}"] = [float(np.mean(errors)), spent * 1e3]
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
