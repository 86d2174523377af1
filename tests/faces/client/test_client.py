"""The Python client against a real server: typed errors, streams, trust, stored keys."""

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faces.notes import NotesServer, identify
from tests.faces.serving import Switch, certificates, serving

from strongroom.errors import (
    CallerError,
    ConflictError,
    ExpiredError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SignInError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    UnavailableError,
    UnreachableError,
    UsageError,
    ValidationError,
)
from strongroom.faces.api.app import build
from strongroom.faces.api.openapi import every_error
from strongroom.faces.client import failures
from strongroom.faces.client.client import Client
from strongroom.faces.client.profiles import Profile, resolve, store, stored
from strongroom.faces.client.transfer import Reader


@pytest.fixture
def server(notes: NotesServer, switch: tuple[Switch, int]) -> str:
    passing, port = switch
    passing.app = build(notes.operations, notes.gate, identify, notes.settings)
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with Client(Profile(server, "srk_writer", "", "clinic")) as opened:
        yield opened


# ---- calls ----


def test_an_operation_is_called_by_its_name(client: Client, notes: NotesServer) -> None:
    note = client.call("note.add", name="a", text="hi")
    assert note["name"] == "a"
    assert client.last_receipt == len(notes.log.events) - 1
    assert [one["name"] for one in client.call("note.ls", limit=5, colours=["red"])] == ["a"]
    assert client.call("note.rm", name="a") is None


def test_a_number_that_is_not_finite_is_an_error_of_ours(client: Client) -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="not finite"):
            client.call("note.add", name="a", text=number)


def test_bytes_files_pieces_and_paths_can_be_sent(client: Client, tmp_path: Path) -> None:
    client.call("note.add", name="a", text="hi")
    file = tmp_path / "content"
    file.write_bytes(b"x" * 3_000_000)
    seen: list[tuple[int, int | None]] = []
    answer = client.call(
        "note.upload", file, name="a", progress=lambda done, total: seen.append((done, total))
    )
    assert answer["bytes"] == 3_000_000
    assert seen[-1] == (3_000_000, 3_000_000)
    for body in (b"abc", io.BytesIO(b"abc"), iter([b"a", b"bc"])):
        assert client.call("note.upload", body, name="a")["bytes"] == 3


def test_a_download_appears_only_when_whole(client: Client, tmp_path: Path) -> None:
    client.call("note.add", name="a", text="hi")
    client.call("note.upload", b"y" * 500_000, name="a")
    client.download("note.download", tmp_path / "out", name="a")
    assert (tmp_path / "out").read_bytes() == b"y" * 500_000
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [  # type: ignore[operator] # ASGI
            (b"content-disposition", b"attachment")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})  # type: ignore[operator] # ASGI
        raise ConnectionError

    from strongroom.faces.client.shapes import Shape

    shape = Shape("GET", "/x", False, frozenset())
    with (
        serving(broken) as port,
        Client(Profile(f"http://127.0.0.1:{port}", "k")) as client,
        pytest.raises(TruncatedError),
    ):
        client.download(shape, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_is_not_taken_for_an_answer(client: Client) -> None:
    client.call("note.add", name="a", text="hi")
    with pytest.raises(UsageError, match="stream"):
        client.call("note.download", name="a")


# ---- errors ----


@pytest.mark.parametrize(
    ("operation", "fields", "error"),
    [
        ("note.show", {"name": "missing"}, NotFoundError),
        ("note.add", {"name": "../x", "text": "x"}, ValidationError),
        ("note.add", {"name": "a", "text": "x" * 70_000}, TooLargeError),
        ("note.break", {"name": "a"}, StrongroomError),
    ],
)
def test_errors_come_back_as_they_were_raised(
    client: Client, operation: str, fields: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error) as met:
        client.call(operation, None, progress=None, **fields)
    assert type(met.value) is error


def test_a_conflict_a_refusal_and_a_stranger(client: Client, server: str) -> None:
    client.call("note.add", name="a", text="hi")
    with pytest.raises(ConflictError):
        client.call("note.add", name="a", text="hi")
    with Client(Profile(server, "srk_reader")) as reader, pytest.raises(RefusedError):
        reader.call("note.add", workspace="clinic", name="b", text="hi")
    with Client(Profile(server, "srk_old")) as old, pytest.raises(ExpiredError):
        old.call("note.ls", workspace="clinic")
    with Client(Profile(server)) as stranger, pytest.raises(SignInError):
        stranger.call("note.ls", workspace="clinic")


def test_each_error_of_the_tree_survives_the_journey() -> None:
    from strongroom.faces.api.problems import members

    for kind in every_error():
        if kind.__module__ != "strongroom.errors":
            continue  # a room's own: the client, which has no rooms, goes by the status
        error = (
            kind("m", retry_after_seconds=7.0) if issubclass(kind, RateLimitedError) else kind("m")
        )
        body = json.dumps(members(error, "id")).encode()
        rebuilt = failures.rebuild(error.status, body, "7")
        assert (rebuilt.code, rebuilt.exit_code) == (error.code, error.exit_code), kind
        assert rebuilt.next_step == error.next_step
        if isinstance(rebuilt, RateLimitedError):
            assert rebuilt.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SignInError), (403, RefusedError), (404, CallerError), (502, UnavailableError)],
)
def test_a_foreign_answer_becomes_the_nearest_error(status: int, error: type[Exception]) -> None:
    rebuilt = failures.rebuild(status, b"<html>secret</html>")
    assert type(rebuilt) is error
    assert "secret" not in rebuilt.message


def test_a_hostile_server_cannot_steer_the_terminal() -> None:
    body = b'{"code": "refused", "detail": "a\\u001b[2Jb", "next_step": "\\u0007c"}'
    error = failures.rebuild(403, body)
    assert (error.message, error.next_step) == ("a[2Jb", "c")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a", "more": 1}, "`more` is not a field"),
        ({"name": ""}, "cannot be empty"),
        ({"name": ".."}, "cannot be empty"),
        ({"name": "a/b"}, "hold `/`"),
        ({}, "`name` is needed"),
    ],
)
def test_what_cannot_be_sent_is_refused_here(
    client: Client, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        client.call("note.show", **fields)  # type: ignore[arg-type] # wrong on purpose


def test_a_body_where_none_belongs_and_none_where_one_does(client: Client) -> None:
    with pytest.raises(UsageError, match="takes no body"):
        client.call("note.ls", b"x")
    with pytest.raises(UsageError, match="needs a body"):
        client.call("note.upload", name="a")
    with pytest.raises(UsageError, match="no operation `nothing`"):
        client.call("nothing")


# ---- where and whom to trust ----


def test_nobody_there_is_unreachable() -> None:
    with Client(Profile("http://127.0.0.1:1", "k")) as client, pytest.raises(UnreachableError):
        client.call("note.ls")


@pytest.mark.parametrize(
    "server", ["http://example.org", "ftp://127.0.0.1", "127.0.0.1:8443", "https://u:p@host"]
)
def test_an_address_that_would_leak_the_key_is_refused(server: str) -> None:
    with pytest.raises(UsageError):
        Client(Profile(server, "srk_x"))


def test_only_the_given_authority_is_trusted(notes: NotesServer, tmp_path: Path) -> None:
    ca, certificate, key = certificates(tmp_path)
    app = build(notes.operations, notes.gate, identify, notes.settings)
    with serving(app, certificate=certificate, key=key) as port:
        address = f"https://127.0.0.1:{port}"
        with Client(Profile(address, "srk_writer", str(ca), "clinic")) as client:
            assert client.call("note.ls") == []
        with Client(Profile(address, "srk_writer")) as client:
            with pytest.raises(UnreachableError, match="not trusted") as met:
                client.call("note.ls")
            assert "--ca" in met.value.next_step


def test_a_file_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(UsageError, match="no certificate authority"):
        Client(Profile("https://127.0.0.1:1", "", str(tmp_path / "ca.pem")))


# ---- stored keys ----


def test_a_profile_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    kept = Profile("https://a.example", "srk_x", "", "clinic")
    file = store("work", kept, environment)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stored("work", environment) == kept
    assert "srk_x" not in repr(kept)
    file.chmod(0o644)
    with pytest.raises(CallerError, match="can be read by others"):
        stored("work", environment)


def test_a_missing_or_damaged_profile_is_named(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert stored("default", environment) == Profile()
    with pytest.raises(UsageError, match="no profile `other`"):
        stored("other", environment)
    file = store("default", Profile(), environment)
    file.write_text("{")
    with pytest.raises(CallerError, match="damaged"):
        stored("default", environment)


def test_variables_win_over_the_profile_and_arguments_over_both(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "STRONGROOM_HOME": str(tmp_path / "none")}
    store("default", Profile("https://a.example", "srk_a", "", "one"), environment)
    assert resolve(environment=environment).key == "srk_a"
    environment["STRONGROOM_API_KEY"] = "srk_b"
    assert resolve(environment=environment).key == "srk_b"
    (tmp_path / "key").write_text("srk_c\n")
    (tmp_path / "key").chmod(0o600)
    environment["STRONGROOM_API_KEY_FILE"] = str(tmp_path / "key")
    assert resolve(environment=environment).key == "srk_c"
    assert resolve(workspace="two", environment=environment).workspace == "two"


def test_a_stored_key_never_goes_to_another_server(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "STRONGROOM_HOME": str(tmp_path / "none")}
    store("default", Profile("https://a.example", "srk_a"), environment)
    assert resolve(server="https://evil.example", environment=environment).key == ""


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("srk_c\n")
    (tmp_path / "key").chmod(0o644)
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path), "STRONGROOM_API_KEY_FILE": str(tmp_path / "key"),
    }  # fmt: skip
    with pytest.raises(CallerError, match="can be read by others"):
        resolve(environment=environment)


def test_the_authority_of_the_home_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_text("x")
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "STRONGROOM_HOME": str(tmp_path)}
    assert resolve(environment=environment).ca == str(tmp_path / "tls" / "ca.pem")


def test_the_server_of_the_home_folder_is_found(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "STRONGROOM_HOME": str(tmp_path)}
    running = tmp_path / "run" / "server.json"
    running.parent.mkdir()
    running.write_text('{"url": "https://localhost:19443"}')
    assert resolve(environment=environment).server == "https://localhost:19443"
    assert resolve(server="https://a.example", environment=environment).server.endswith("example")
    for damaged in ("", "[]", '{"url": 5}', "{"):
        running.write_text(damaged)
        assert resolve(environment=environment).server == Profile().server
    running.write_text('{"url": "https://localhost:19443"}')
    store("default", Profile("https://b.example", "srk_x"), environment)
    assert resolve(environment=environment).server == "https://b.example"


def test_the_client_loads_no_server() -> None:
    code = (
        "import sys, strongroom.faces.client.client;"
        "print([m for m in sys.modules if m.startswith(('strongroom.gate', 'strongroom.vault',"
        " 'strongroom.services', 'sqlalchemy', 'fastapi', 'mlflow', 'pyarrow'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_tampering_keeps_its_exit_code() -> None:
    assert failures.by_code()["integrity.broken"] is TamperedError


def test_a_reader_fills_all_that_is_asked_for() -> None:
    # Arrow takes a short read for the end of the stream; pieces are as the network gives them.
    whole = b"".join(b"%03d" % number for number in range(100))
    reader = Reader(b"%03d" % number for number in range(100))
    assert [reader.read(200), reader.read(200), reader.read(200)] == [whole[:200], whole[200:], b""]


@pytest.mark.parametrize("entry", [7, None, True, "7", 1.5])
def test_a_refusal_knows_where_it_is_recorded(entry: object) -> None:
    problem = {"code": "refused", "detail": "no", "next_step": "ask", "log_entry": entry}
    error = failures.rebuild(403, json.dumps(problem).encode())
    assert error.entry == (7 if entry == 7 else None)
