"""What a decision on a privacy budget costs, after few and after many spends; CPU milliseconds.

Mark: a decision by privacy loss distributions in at most 60 ms. Peers in the same run: the sum of
epsilons, and dp-accounting's accountants, which compose everything anew at each decision.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

from dp_accounting import dp_event
from dp_accounting.pld.pld_privacy_accountant import PLDAccountant
from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant

from strongroom.engines.privacy.dp.accounting import Composition, Cost, epsilon
from strongroom.services.data import budget_ledger
from strongroom.services.data.budget_document import Terms
from strongroom.services.data.budget_ledger import Account, Budgets
from strongroom.services.data.budget_pricing import NewSpend, Priced, Tally
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

DELTA = 1e-6
ROUNDS = 9
NEXT = {
    "Laplace": Cost.laplace(200.0), "Gaussian": Cost.gaussian(210.0), "zCDP": Cost.zcdp(1.1e-5),
    "pure": Cost.pure(0.0051), "whole numbers": Cost.geometric(401.0, 2),
}  # fmt: skip


def earlier(spends: int) -> Iterator[Cost]:
    """Spends of all kinds, each tenth of another size."""
    for number in range(spends):
        size = 200.0 + (number % 10 == 0) * (number % 500)
        yield (
            Cost.laplace(size), Cost.gaussian(size), Cost.zcdp(1 / (2 * size**2)),
            Cost.pure(1 / size), Cost.geometric(2 * size, 2),
        )[number % 5]  # fmt: skip


def _decided(earlier: Composition, cost: Cost) -> float:
    return earlier.plus(cost).epsilon(DELTA)


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median CPU time of this process."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return median(times) * 1e3


def _decisions(spends: int) -> None:
    history = list(earlier(spends))
    began = time.process_time()
    composed = Composition.of(Cost.total(history))
    spent = composed.epsilon(DELTA)
    anew = (time.process_time() - began) * 1e3
    print(f"\n{spends:,} earlier spends: epsilon {spent:.3f}; composed anew in {anew:,.0f} ms")
    for name, cost in NEXT.items():
        took = milliseconds(partial(_decided, composed, cost))
        print(f"  decision on {name:<14} {took:6.1f} ms")


def _peers(spends: int) -> None:
    """The same Laplace and Gaussian answers, by each accountant."""
    half = spends // 2
    costs = [Cost.laplace(200.0)] * half + [Cost.gaussian(200.0)] * half
    composed = Composition.of(Cost.total(costs))
    new = Cost.laplace(200.0)

    def by(accountant: PLDAccountant | RdpAccountant) -> float:
        accountant.compose(dp_event.LaplaceDpEvent(200.0), half + 1)
        accountant.compose(dp_event.GaussianDpEvent(200.0), half)
        return float(accountant.get_epsilon(DELTA))

    gaussian = epsilon(Cost.gaussian(200.0), DELTA)
    rows: dict[str, Callable[[], float]] = {
        "this ledger": lambda: composed.plus(new).epsilon(DELTA),
        "dp-accounting PLD": lambda: by(PLDAccountant()),
        "dp-accounting RDP": lambda: by(RdpAccountant()),
        "sum of epsilons": lambda: (half + 1) / 200 + half * gaussian,
    }
    print(f"\n{spends:,} Laplace and Gaussian answers, and one more")
    for name, work in rows.items():
        print(f"  {name:<18} epsilon {work():8.3f}  {milliseconds(work, 3):8.1f} ms")


def _ledger(spends: int) -> None:
    """Whole spends, sealed and durable, and the first look after a start."""
    keys, now = Keyring(LocalRoot(bytes(32))), datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.create_for_tests(Path(folder) / "budget.db")
        budgets = Budgets(keys)
        with database.write() as session:
            keys.create_workspace_key(session, "clinic")
            budgets.create(session, "clinic", "p", "id", Terms(50.0, DELTA), by="", now=now)

        def spend(cost: Cost) -> None:
            with database.write() as session:
                account = budgets.of(session, "clinic", "p", "id", now)
                budgets.spend(session, account, NewSpend(cost, "study", "", "query", ""), now)

        def look() -> Account:
            with database.read() as session:
                return Budgets(keys).of(session, "clinic", "p", "id", now)

        # Filling the ledger is not what is measured: that is done without pricing each spend.
        unpriced = (Priced(0.0, 0.0, 0.0, 0.0), Tally(now))
        with mock.patch.object(budget_ledger, "price", return_value=unpriced):
            for cost in earlier(spends):
                spend(cost)
        budgets = Budgets(keys)
        spend(NEXT["pure"])
        times = [milliseconds(partial(spend, cost), 1) for cost in NEXT.values()]
        print(f"\n{spends:,} spends in the ledger")
        print(f"  whole spend, committed: median {median(times):.1f} ms, worst {max(times):.1f} ms")
        print(f"  first look after a start: {milliseconds(look, 3):,.0f} ms")
        database.close()


def main() -> None:
    """Print all figures."""
    epsilon(Cost.laplace(1.0), DELTA)  # loads the library
    for spends in (100, 1_000, 5_000):
        _decisions(spends)
    _peers(5_000)
    _ledger(2_000)


if __name__ == "__main__":
    main()
