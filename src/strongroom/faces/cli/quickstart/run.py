"""`strongroom quickstart`: from an empty folder to a guarded prediction with a receipt."""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from strongroom.errors import InternalError
from strongroom.faces.cli.quickstart import hosting, people, steps
from strongroom.faces.cli.quickstart.hosting import Hosted, Prepared
from strongroom.faces.cli.quickstart.steps import Stage
from strongroom.faces.cli.quickstart.telling import Teller
from strongroom.settings import Settings, load


def run(*, home: Path | None, port: int | None, once: bool, as_json: bool) -> int:
    """Run every step; then, unless `once`, keep the server until it is interrupted.

    Returns: the exit code, 0.

    Raises:
        StrongroomError: a step did not do what it claims.
    """
    settings = load(home=home, port=port)
    tell = Teller(as_json=as_json)
    with ExitStack() as stack:
        with tell.step(1, "A home folder with its own keys, database and log; a server with TLS"):
            prepared = hosting.prepare(settings, people.PEOPLE)
            tell.fact(f"{'made' if prepared.is_new else 'found'} {settings.home}")
            server = stack.enter_context(hosting.hosted(settings))
            tell.fact(f"listening on {server.url}; clients trust it by {server.ca}")
        with ExitStack() as clients:
            _play(tell, settings, server, prepared, clients, once=once)
        tell.finish()
        if not once:
            _wait_for_interrupt(server)
    return 0


def _play(
    tell: Teller,
    settings: Settings,
    server: Hosted,
    prepared: Prepared,
    stack: ExitStack,
    *,
    once: bool,
) -> None:
    """Steps 2 to 9, and the last words; what it opens is left to `stack` to close."""
    operator = stack.enter_context(people.client_for(server, prepared.operator_key))
    with tell.step(2, "A workspace and six people, each with another role"):
        is_new = people.ensure_workspace(operator)
        cast = people.assemble(server, operator, prepared.kept)
        tell.fact(f"workspace {people.WORKSPACE}{'' if is_new else ' (was there already)'}")
        if prepared.kept:
            tell.fact("people were there: this machine made them new keys, as the log shows")
        else:
            tell.fact("each redeemed an invitation, and told the Owner their claim code")
        tell.fact("API keys, shown this once:")
        for name, role in people.PEOPLE.items():
            tell.fact(f"  {name:<14} {role:<15} {cast.keys[name]}")
        steps.keep_the_operator_out(Stage(tell, settings.home, server, operator, cast))
    stack.callback(cast.close)
    stage = Stage(tell, settings.home, server, operator, cast)
    with tell.step(3, "Real biopsies with made-up identities, taken in as a stream and sealed"):
        steps.take_in(stage)
    with tell.step(4, "The same rows, as three people see them"):
        steps.show_views(stage)
    with tell.step(5, "Train, log and register with the unmodified MLflow client"):
        hosting.wait_until_ready(server)
        training = steps.train(stage)
    version = int(training["version"])
    with tell.step(6, "Quarantine, scan, sign, approve; a malicious model is refused"):
        steps.check_and_approve(stage, version)
    with tell.step(7, "An endpoint: predictions, and what it refuses"):
        index = steps.deploy_and_predict(stage, training)
    with tell.step(8, "One byte of the model and one of the log are flipped"):
        steps.tamper(stage, version, index)
    with tell.step(9, "The whole log and one receipt, verified offline"):
        steps.verify(stage, index)
    link = cast[people.OWNER].call("link.create")
    folder = settings.home / "quickstart"
    state = "stopped" if once else "running; Ctrl-C stops it"
    # Where it was started by its path, it is not on the search path.
    command = "strongroom" if shutil.which("strongroom") else sys.argv[0]
    tell.keep(url=server.url, ca=str(server.ca), home=str(settings.home))
    tell.last_words(
        [
            ("Sign in, once", f"{server.url}/sign-in?link={link['token']}"),
            (
                "MLflow",
                f"MLFLOW_TRACKING_URI={server.url}/mlflow MLFLOW_WORKSPACE={people.WORKSPACE}",
            ),
            ("", f"MLFLOW_TRACKING_SERVER_CERT_PATH={server.ca} MLFLOW_TRACKING_TOKEN=<a key>"),
            ("Trust", f"{server.ca} is the certificate authority to import in a browser"),
            ("Verify", f"{command} verify {folder}/receipt.txt --log-key {folder}/log.key"),
            ("Everything", f"lies in {settings.home}"),
            ("Erase it", f"rm -rf -- {settings.home}"),
            ("Server", f"{state}, {command} serve --home {settings.home} starts it again"),
            (
                "Operator",
                f"makes workspaces and invitations; {command} recover --home {settings.home}",
            ),
        ]
    )


def _wait_for_interrupt(server: Hosted) -> None:
    """Return when the person presses Ctrl-C, the process is told to end, or the server ends."""
    with _interruptible():
        try:
            code = server.process.wait()
        except KeyboardInterrupt:
            return
    raise InternalError(f"the server ended by itself with code {code}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C within the block, so that the server is stopped in order."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
