"""`strongroom recover`: a way back in for whoever can open the home folder."""

import sys

from strongroom.faces.cli import output
from strongroom.faces.foundation import open_foundation
from strongroom.gate.identity.bootstrap import local_key
from strongroom.settings import Settings

PURPOSE = "recovery"


def run_recovery(settings: Settings, account: str, *, as_json: bool) -> None:
    """Make a key for `account` and show it this once; earlier recovery keys of it are revoked.

    It is on the record. Whoever can do this can read the root key as well.

    Raises:
        HomeInUseError: the server is running.
        NotFoundError: there is no such account.
    """
    with open_foundation(settings) as foundation:
        key = local_key(
            foundation.database, foundation.log, foundation.issuer,
            account=account, purpose=PURPOSE, days=settings.api_key_days,
        )  # fmt: skip
    output.words(f"a new API key of {output.clean(account)}, shown this once:")
    if as_json:
        output.data({"account": account, "api_key": key}, as_json=True)
    else:
        sys.stdout.write(f"{key}\n")
