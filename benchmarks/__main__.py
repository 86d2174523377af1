"""Run the benchmarks: `python -m benchmarks [name …]`; all of them without a name."""

import importlib
import os
import sys

ALL = ("sealing", "log_appends", "decisions", "guarded_prediction",
       "noisy_neighbours", "text", "reading", "masking",
       "columns", "anonymization", "drift", "budget", "dp_queries",
       "dp_training", "signing",
       "scanning", "scanning_fuzz", "robustness_evasion", "robustness_membership",
       "robustness_poisoning", "robustness_numbers", "robustness_guards",
       "robustness_hardening")  # fmt: skip


def main(names: list[str]) -> int:
    """Run the named benchmarks, one after the other; 2 for an unknown name."""
    if unknown := [name for name in names if name not in ALL]:
        print(f"no benchmark `{unknown[0]}`; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # or ONNX Runtime reports to its maker
    for name in names or ALL:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
