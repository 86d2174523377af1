"""Commands that keep a sign-in and that prepare a server's home folder."""

import sys
from dataclasses import replace

from strongroom.errors import UsageError
from strongroom.faces.cli import options, output
from strongroom.faces.client.client import Client
from strongroom.faces.client.profiles import Profile, resolve, store
from strongroom.settings import Settings
from strongroom.vault.database import Database
from strongroom.vault.home import Home

INVITATION = "sri_"
"""How the secret begins that claims an account."""


def run_login(
    server: str | None,
    key_file: str | None,
    profile: str,
    ca: str | None,
    workspace: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask for a key, try it, and keep it only if the server takes it.

    An invitation is redeemed, and the key that it gives is kept.
    """
    found = resolve(name=None, server=server, ca=ca, workspace=workspace)
    key = options.secret("key", key_file)
    if not key:
        raise UsageError("an empty key", next_step="paste the key, or the invitation")
    kept = Profile(found.server, key, found.ca, found.workspace)
    if key.startswith(INVITATION):
        with Client(kept) as invited:
            kept = replace(kept, key=invited.call("user.claim")["secret"])
        # Before anything else can fail: it is shown to nobody a second time.
        store(profile, kept)
    with Client(kept) as client:
        who = client.call("whoami")
    file = store(profile, kept)
    if key.startswith(INVITATION):
        output.words(f"the account is yours, and you were the first. Claim code: {who['claim']}")
        output.words("Tell it to the Owner of a workspace, who needs it to give you a role there.")
    output.words(f"signed in to {kept.server} as {output.clean(str(who['name']))}; kept in {file}")
    if as_json:
        output.data({"server": kept.server, "profile": profile, **who}, as_json=True)


def run_migration(settings: Settings, *, yes: bool, as_json: bool) -> None:
    """Migrate the database; the home folder must not be in use."""
    with Home.open(settings.home) as home:
        if not yes and sys.stdin.isatty():
            output.words("Back up the home folder first: a migration cannot be undone.")
            options.confirm("migrate", yes=False, doing="strongroom migrate")
        database = Database.open(settings.database_url or home.database_url)
        try:
            database.migrate()
        finally:
            database.close()
    output.words("the database has this version's form")
    if as_json:
        output.data({"migrated": True}, as_json=True)
