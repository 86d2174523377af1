"""All commands of `strongroom`. Nothing heavy is imported before a command needs it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli import (
    anonymize_command,
    attack_command,
    bom_command,
    drift_commands,
    harden_command,
    privacy_commands,
    query_command,
    rooms,
    scan_command,
    signing_commands,
    train_command,
)
from strongroom.faces.cli.options import Ca, Home, Json, Yes

OFFLINE = "Without a server"
OPERATE = "Run a server"

app = typer.Typer(
    name="strongroom",
    cls=rooms.RoomGroup,
    help="A self-hosted home for machine learning on sensitive data.",
    epilog=(
        "Start here: strongroom quickstart. Exit codes: 0 done, 1 failed, 2 usage, 3 sign in, "
        "4 refused by policy, 5 integrity broken, 6 findings above the threshold, "
        "7 server unreachable."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Port = Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="TCP port.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        sys.stdout.write(f"strongroom {version('strongroom')}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # acts by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# ---- run a server ----


@app.command(rich_help_panel=OPERATE)
def quickstart(
    home: Home = None,
    port: Port = None,
    once: Annotated[bool, typer.Option("--once", help="Stop the server at the end.")] = False,
    as_json: Json = False,
) -> None:
    """Run the main job on real data, from an empty folder to a guarded prediction."""
    from strongroom.faces.cli.quickstart.run import run as run_quickstart

    raise typer.Exit(run_quickstart(home=home, port=port, once=once, as_json=as_json))


@app.command(rich_help_panel=OPERATE)
def serve(home: Home = None, host: Host = None, port: Port = None) -> None:
    """Run the server until it is interrupted."""
    from strongroom.faces import server
    from strongroom.settings import load

    server.serve(load(home=home, host=host, port=port))


@app.command(rich_help_panel=OPERATE)
def doctor(home: Home = None, host: Host = None, port: Port = None, as_json: Json = False) -> None:
    """Check whether a server can run here, and say what to do where it cannot."""
    from strongroom.faces.cli.doctor import examine
    from strongroom.settings import load

    raise typer.Exit(examine(load(home=home, host=host, port=port), as_json=as_json))


@app.command(rich_help_panel=OPERATE)
def migrate(home: Home = None, yes: Yes = False, as_json: Json = False) -> None:
    """Bring the database of a stopped server to this version's form."""
    from strongroom.faces.cli.operate import run_migration
    from strongroom.settings import load

    run_migration(load(home=home), yes=yes, as_json=as_json)


@app.command(rich_help_panel=OPERATE)
def backup(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder of the backups.")],
    home: Home = None,
    with_root_key: Annotated[
        bool, typer.Option("--with-root-key", help="Put the root key in: then it opens itself.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Back up a home, also while its server runs; later backups copy only what is new."""
    from strongroom.faces.cli.backup import run_backup
    from strongroom.settings import load

    run_backup(load(home=home), to, with_root_key=with_root_key, as_json=as_json)


@app.command(rich_help_panel=OPERATE)
def restore(
    source: Annotated[
        Path, typer.Option("--from", metavar="BACKUP", help="A backup, or a folder of them.")
    ],
    home: Home = None,
    root_key: Annotated[
        Path | None, typer.Option("--root-key", metavar="FILE", help="Else the backup's own.")
    ] = None,
    same_log: Annotated[
        bool,
        typer.Option(
            "--same-log", help="Nothing was logged after the backup: keep the log's name."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new home out of a backup, after verifying all of it."""
    from strongroom.faces.cli.backup import run_restore
    from strongroom.settings import load

    run_restore(load(home=home), source, root_key, same_log=same_log, as_json=as_json)


@app.command(rich_help_panel=OPERATE)
def recover(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="By name or id.")] = "operator",
    home: Home = None,
    accept_rollback: Annotated[
        bool, typer.Option("--accept-rollback", help="Go on with an older database, on the record.")
    ] = False,
    new_log: Annotated[
        bool, typer.Option("--new-log", help="Put a damaged log away as evidence; begin another.")
    ] = False,
    reseal: Annotated[
        str | None,
        typer.Option(
            "--reseal",
            metavar="WHO",
            help="Make WHO hold what the log says; `key:WORKSPACE` for a key.",
        ),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make a new API key for an account whose keys are lost; the server must be stopped.

    With an option: go on after a rollback, after damage to the log, or after tampering.
    """
    from strongroom.faces.cli import recover as recovery
    from strongroom.settings import load

    settings = load(home=home)
    if new_log:
        recovery.run_new_log(settings, older_too=accept_rollback, yes=yes, as_json=as_json)
    elif accept_rollback:
        recovery.run_acceptance(settings, yes=yes, as_json=as_json)
    elif reseal is not None:
        recovery.run_reseal(settings, reseal, yes=yes, as_json=as_json)
    else:
        recovery.run_recovery(settings, account, as_json=as_json)


@app.command(rooms.EXPORT_HOME, hidden=True)
def audit_export_home(
    home: Home = None,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else in the home.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export the log of a stopped server, damaged or not, as evidence."""
    from strongroom.faces.cli.recover import run_export
    from strongroom.settings import load

    run_export(load(home=home), to, as_json=as_json)


# ---- sign in ----


@app.command(rich_help_panel="On a server")
def login(
    server: Annotated[str | None, typer.Option("--server", metavar="URL", help="Address.")] = None,
    key_file: Annotated[
        str | None, typer.Option("--key-file", metavar="FILE", help="File with the key, or `-`.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Name to keep it under.")] = "default",
    ca: Ca = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="To take where none is named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep a server and an API key for later commands; the key, or an invitation, is asked for."""
    from strongroom.faces.cli.operate import run_login

    run_login(server, key_file, profile, ca, workspace, as_json=as_json)


# ---- without a server ----


app.command(rich_help_panel=OFFLINE)(scan_command.scan)
app.command(rich_help_panel=OFFLINE)(signing_commands.sign)
app.command(rich_help_panel=OFFLINE)(bom_command.bom)


@app.command(rich_help_panel=OFFLINE)
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Receipt, log export or backup; or a model.")
    ],
    key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="KEY", help="The log's public key, or a file."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="FILE", help="A checkpoint or receipt you kept."),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="KEY", help="A witness that must have cosigned."),
    ] = None,
    signature: signing_commands.Signature = None,
    public_key: signing_commands.PublicKey = None,
    certificate_chain: signing_commands.CertificateChain = None,
    ignore: signing_commands.Ignore = None,
    follow_links: signing_commands.FollowLinks = False,
    at: signing_commands.At = None,
    sigstore: signing_commands.Sigstore = False,
    identity: signing_commands.Identity = None,
    identity_provider: signing_commands.IdentityProvider = None,
    trust_config: signing_commands.TrustConfig = None,
    model: signing_commands.OfModel = None,
    data: signing_commands.OfData = None,
    held_out: signing_commands.OfHeldOut = None,
    plan: signing_commands.OfPlan = None,
    as_json: Json = False,
) -> None:
    """Verify a model, a receipt, a log export or a backup. Exit 5 where anything was changed.

    A model is verified against its --signature, by the --public-key, the --certificate-chain or
    the --identity that you trust. The report of an attack that was signed is verified by the
    --public-key, with whatever of its model, rows and plan you give beside it.
    """
    from strongroom.faces.cli.attack_inputs import Compared, is_report

    beside = Compared(model, {"trained": data, "held_out": held_out}, plan)
    if is_report(path, signature) or beside.is_any:
        from strongroom.faces.cli.attack_signing import run_verify_report

        run_verify_report(
            path, signature=signature, public_key=public_key, beside=beside, as_json=as_json
        )
        return
    if signature or public_key or certificate_chain or sigstore or identity or trust_config:
        from strongroom.faces.cli.sign import run_verify_signature
        from strongroom.faces.cli.trusted_signers import Trusted

        trusted = Trusted(
            public_key=public_key, chains=certificate_chain or (), moment=at,
            uses_sigstore=sigstore, identity=identity, identity_provider=identity_provider,
            trust_config=trust_config,
        )  # fmt: skip
        run_verify_signature(
            path,
            signature=signature or Path(signing_commands.DEFAULT),
            trusted=trusted,
            ignored=ignore or (),
            follows_links=follow_links,
            as_json=as_json,
        )
        return
    from strongroom.faces.cli.verify import run_verify

    run_verify(path, key=key, against=against or (), witnesses=witness or (), as_json=as_json)


app.command(rich_help_panel=OFFLINE)(privacy_commands.discover)
app.command(rich_help_panel=OFFLINE)(privacy_commands.mask)
app.command(rich_help_panel=OFFLINE)(anonymize_command.anonymize)
app.command(rich_help_panel=OFFLINE)(query_command.query)
app.command(rich_help_panel=OFFLINE)(train_command.train)
app.command(rich_help_panel=OFFLINE)(train_command.synthesize)
app.command(rich_help_panel=OFFLINE)(drift_commands.drift)
app.command(rich_help_panel=OFFLINE)(attack_command.attack)
app.command(rich_help_panel=OFFLINE)(harden_command.harden)
rooms.stubs(app)
