"""The command line: derived commands against a real server, exit codes, streams, secrets."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import BaseModel, SecretStr
from tests.faces.notes import NotesServer, identify
from tests.faces.serving import Switch

from strongroom import errors
from strongroom.faces.api.app import build
from strongroom.faces.api.openapi import every_error
from strongroom.faces.cli import app, forms, main, options, rooms
from strongroom.faces.cli.declaring import SECRET_NAMES, declared_forms, form_of
from strongroom.faces.client.profiles import Profile
from strongroom.gate.declaration import DECLARED, Command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    notes: NotesServer,
    switch: tuple[Switch, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    passing, port = switch
    passing.app = build(notes.operations, notes.gate, identify, notes.settings)
    monkeypatch.setitem(rooms.ROOMS, "note", rooms.Room("tests.faces.notes", "Notes."))
    noted = [form_of(one.declared) for one in notes.operations if one.declared.command is not None]
    shown = (*forms.forms(), *noted)
    monkeypatch.setattr(forms, "forms", lambda: shown)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STRONGROOM_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("STRONGROOM_API_KEY", "srk_writer")
    monkeypatch.setenv("STRONGROOM_WORKSPACE", "clinic")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strongroom", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


# ---- derived commands ----


def test_a_declared_operation_is_a_command(run: Run) -> None:
    code, out, _ = run("note", "add", "a", "--text", "hi", "--json")
    assert code == 0
    assert json.loads(out)["name"] == "a"
    code, out, _ = run("note", "ls", "--colours", "red", "--colours", "blue", "--limit", "5")
    assert code == 0
    assert out.splitlines()[0] == "name\ttext\tbytes\tdigest"
    assert out.splitlines()[1].startswith("a\thi\t0\t")


def test_a_file_or_stdin_is_sent_and_a_stream_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("note", "add", "a", "--text", "hi")
    (tmp_path / "f").write_bytes(b"from a file")
    assert json.loads(run("note", "upload", "a", str(tmp_path / "f"), "--json")[1])["bytes"] == 11
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from stdin")))
    assert json.loads(run("note", "upload", "a", "-", "--json")[1])["bytes"] == 10
    assert run("note", "download", "a", "-o", str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out").read_bytes() == b"from stdin"


def test_a_stream_goes_to_stdout(run: Run, tmp_path: Path) -> None:
    run("note", "add", "a", "--text", "hi")
    (tmp_path / "f").write_bytes(b"some text")
    run("note", "upload", "a", str(tmp_path / "f"))
    assert run("note", "download", "a")[:2] == (0, "some text")


def test_destroying_asks_for_the_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("note", "add", "a", "--text", "hi")
    code, _, err = run("note", "rm", "a")
    assert code == 2
    assert "--yes" in err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("b\n"))
    code, _, err = run("note", "rm", "a")
    assert code == 2
    assert "not confirmed" in err
    assert "a" in run("note", "ls")[1]
    monkeypatch.setattr(sys, "stdin", Terminal("a\n"))
    assert run("note", "rm", "a")[0] == 0
    run("note", "add", "b", "--text", "hi")
    assert run("note", "rm", "b", "--yes")[0] == 0
    assert run("note", "ls") == (0, "", "")


@pytest.mark.parametrize(
    ("given", "workspace", "rest"),
    [
        (("role", "revoke", "ward", "ann", "Reader"), "ward", ("ann", "Reader")),
        (("role", "revoke", "ann", "Reader"), None, ("ann", "Reader")),
        (("role", "revoke", "-w", "ward", "ann", "Reader"), None, ("ann", "Reader")),
        (("role", "revoke", "-w", "ward", "ward", "ann", "Reader"), "ward", ("ann", "Reader")),
        (("role", "ls", "ward"), "ward", ()),
        (("role", "list"), None, ()),
        (("workspace", "show", "-w", "ward"), None, ()),
        (("key", "ls", "ward"), "ward", ()),
        (("key", "list", "-w", "ward"), None, ()),
        (("access", "can", "readModel"), None, ("readModel",)),
    ],
)
def test_the_workspace_is_an_argument_an_option_or_the_profiles(
    given: tuple[str, ...], workspace: str | None, rest: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: dict[str, object] = {}

    class Asked:
        profile = Profile("https://localhost", "", "", "ward")
        last_receipt = None

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def call(self, _shape: object, _source: object, **fields: object) -> None:
            asked.update(fields)

    def connect(_server: object, _profile: object, _ca: object, named: str | None) -> Asked:
        assert named in {None, "ward"}
        return Asked()

    monkeypatch.setattr(options, "connect", connect)
    monkeypatch.setattr(sys, "argv", ["strongroom", *given])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 0
    assert asked["workspace"] == "ward"
    assert set(rest) <= set(asked.values())
    assert workspace in {None, "ward"}


@pytest.mark.parametrize(
    "given",
    [
        ("role", "revoke", "ann"),
        ("role", "revoke", "a", "b", "c", "d"),
        ("role", "ls", "one", "-w", "another"),
        ("access", "can"),
    ],
)
def test_too_few_or_two_workspaces_are_a_mistake(run: Run, given: tuple[str, ...]) -> None:
    assert run(*given)[0] == 2


@pytest.mark.parametrize(
    "given",
    [
        ("key", "disable", "clinic"), ("key", "disable"), ("user", "disable", "ann"),
        ("token", "revoke", "srk_" + "a" * 16), ("model", "retire", "m", "1"),
        ("key", "destroy", "-w", "clinic"),
    ],
)  # fmt: skip
def test_what_cuts_people_off_asks_first(run: Run, given: tuple[str, ...]) -> None:
    code, _, err = run(*given)
    assert code == 2
    assert "--yes" in err


def test_one_thing_is_shown_field_by_field(run: Run) -> None:
    _, out, _ = run("note", "add", "a", "--text", "hi")
    assert out.splitlines()[:2] == ["name\ta", "text\thi"]


# ---- exit codes ----


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (("note", "show", "missing"), {}, 1),
        (("note", "add", "a"), {}, 2),
        (("note", "add", "a", "--text", "x", "--colour", "green"), {}, 2),
        (("note", "upload", "a", "nothing-there"), {}, 2),
        (("nonsense",), {}, 2),
        (("note", "ls"), {"STRONGROOM_API_KEY": ""}, 3),
        (("note", "ls"), {"STRONGROOM_API_KEY": "srk_wrong"}, 3),
        (("note", "ls"), {"STRONGROOM_API_KEY": "srk_old"}, 3),
        (("note", "rm", "a", "--yes"), {"STRONGROOM_API_KEY": "srk_reader"}, 4),
        (("note", "ls"), {"STRONGROOM_SERVER": "http://127.0.0.1:1"}, 7),
        (("note", "ls"), {"STRONGROOM_SERVER": "http://example.org"}, 2),
    ],
)
def test_exit_codes(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    code: int,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found, out, err = run(*arguments)
    assert found == code, err
    assert out == ""
    assert err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("note", "add"), "Missing argument 'NAME'."),
        (("note", "ls", "--limit", "many"), "'--limit'"),
        (("note", "ls", "--colour", "green"), "--colour"),
        (("nonsense",), "nonsense"),
    ],
)
def test_a_mistake_in_the_command_line_is_json_too(
    run: Run, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = run(*arguments, "--json")
    assert (code, out) == (2, "")
    shown = json.loads(err)["error"]
    assert (shown["code"], told in shown["detail"]) == ("usage", True)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in every_error() if kind.__module__ == "strongroom.errors"],
    ids=lambda kind: kind.__name__,
)
def test_each_error_ends_with_its_exit_code_and_next_step(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: type[errors.StrongroomError]
) -> None:
    error = (
        kind("gone", retry_after_seconds=1.0)
        if issubclass(kind, errors.RateLimitedError)
        else kind("gone")
    )

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    code, out, err = run("x")
    assert (code, out) == (error.exit_code, "")
    assert error.next_step in err
    assert error.code in err
    code, out, err = run("x", "--json")
    assert json.loads(err)["error"]["code"] == error.code
    assert error.exit_code in {1, 2, 3, 4, 5, 7}


def test_a_fault_of_ours_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("row 17: Jane Roe")

    monkeypatch.setattr(app, "app", fail)
    code, _, err = run("x")
    assert code == 1
    assert "Jane" not in err
    assert "STRONGROOM_DEBUG" in err


# ---- help, colour ----


def test_help_lists_the_rooms_without_importing_them() -> None:
    code = (
        "import sys\nfrom strongroom.faces.cli import main\nsys.argv = ['strongroom', '--help']\n"
        "try:\n    main.run()\nexcept SystemExit:\n    pass\n"
        "print([m for m in sys.modules if m in {'sqlalchemy', 'pyarrow', 'httpx', 'pydantic', "
        "'numpy', 'polars', 'cryptography', 'mlflow', 'jinja2'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for word in rooms.ROOMS:
        assert word in done.stdout


def test_no_colour_off_a_terminal(run: Run) -> None:
    _, _, err = run("note", "show", "missing")
    assert "\x1b" not in err


def test_control_characters_of_a_server_are_not_printed(run: Run) -> None:
    run("note", "add", "a", "--text", "\x1b[2Jgone")
    _, out, _ = run("note", "ls")
    assert "\x1b" not in out


# ---- secrets ----


def test_login_keeps_a_key_that_works(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: NotesServer
) -> None:
    monkeypatch.setenv("STRONGROOM_API_KEY", "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("srk_wrong\n"))
    code, _, err = run("login", "--key-file", "-")
    assert code in {2, 3}, err  # the test's server has no `whoami`: nothing is kept
    assert not (tmp_path / "config").exists()
    assert "srk_wrong" not in err


class GivenSecrets(BaseModel):
    """A request with secrets of each kind."""

    name: str
    token: str
    sealed: SecretStr
    maybe: SecretStr | None = None


def test_no_command_takes_a_secret_as_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    command = Command("whoami", positional=("name",))
    whoami = next(one for one in DECLARED.values() if one.name == "whoami")
    form = form_of(replace(whoami, input=GivenSecrets, command=command))
    assert [one.is_secret for one in form.fields] == [False, True, True, True]
    monkeypatch.setattr(forms, "forms", lambda: (form,))
    flags = {flag for one in _command("whoami").params for flag in one.opts}
    assert {"--token-file", "--sealed-file", "--maybe-file"} <= flags
    assert not {"--token", "--sealed", "--maybe"} & flags


def test_no_secret_is_an_argument() -> None:
    for form in forms.forms():
        assert not {field.name for field in form.fields if field.is_secret} & {*form.positional}
        flags = {flag for one in _command(form.words).params for flag in one.opts}
        assert not {f"--{name}" for name in SECRET_NAMES} & flags, form.words


def _command(words: str) -> Any:  # noqa: ANN401 # Typer's own types are private
    first, *rest = words.split()
    found = rooms.load(first)
    for word in rest:
        found = found.commands[word]
    return found


# ---- every room ----


def test_every_command_belongs_to_a_known_room_and_can_be_built() -> None:
    import importlib
    import pkgutil

    import strongroom.gate
    import strongroom.services

    for package in (strongroom.gate, strongroom.services):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            if found.ispkg and importlib.util.find_spec(f"{found.name}.operations"):
                importlib.import_module(f"{found.name}.operations")
    declared = sorted(declared_forms(), key=lambda one: one.words)
    assert len({one.words for one in declared}) == len(declared)
    for one in declared:
        assert one.words.split()[0] in rooms.ROOMS, f"`{one.words}` is in no room of the CLI"
    assert sorted(forms.forms(), key=lambda one: one.words) == declared, (
        "run: python -m strongroom.faces.cli.declaring"
    )
    for word in rooms.ROOMS:
        assert rooms.load(word)


def test_a_command_of_the_server_imports_nothing_of_the_server() -> None:
    code = (
        "import sys\nfrom strongroom.faces.cli import main\n"
        "sys.argv = ['strongroom', 'data', 'ls', '--server', 'http://127.0.0.1:1']\n"
        "try:\n    main.run()\nexcept SystemExit as ended:\n    print(ended.code)\n"
        "print([m for m in sys.modules if m in {'sqlalchemy', 'pyarrow', 'numpy', 'cedarpy'} or "
        "m.startswith(('strongroom.services', 'strongroom.gate', 'strongroom.vault'))])"
    )
    environment = os.environ | {"STRONGROOM_API_KEY": "srk_" + "a" * 40}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-2:] == ["7", "[]"], done


def test_rows_are_given_as_json() -> None:
    (rows,) = (
        one for one in rooms.load("endpoint").commands["invoke"].params if one.name == "rows"
    )
    assert not rows.multiple
    assert "JSON, or @FILE" in rows.help


def test_the_installed_command_runs() -> None:
    command = [str(Path(sys.executable).with_name("strongroom")), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.startswith("strongroom ")


@pytest.mark.parametrize("loaded", ["typing", "pyarrow", "strongroom.faces.cli.app", "typer"])
def test_ctrl_c_while_it_starts_is_quiet(loaded: str) -> None:
    """Whatever is being loaded then, the exit code is a shell's and no traceback is shown."""
    code = (
        "import sys\nfrom importlib.abc import MetaPathFinder\n"
        "class Interrupted(MetaPathFinder):\n"
        "    def find_spec(self, fullname, path, target=None):\n"
        f"        if fullname == {loaded!r}:\n"
        "            print('met', flush=True)\n            raise KeyboardInterrupt\n"
        f"sys.modules.pop({loaded!r}, None)\nsys.meta_path.insert(0, Interrupted())\n"
        "sys.argv = ['strongroom', 'drift', 'a.csv', 'b.csv']\n"
        "from strongroom.faces.cli.main import start\nstart()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "met\n", "")
