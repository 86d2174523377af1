"""uv is told what pip was told; what cannot be said to it is left to pip."""

import sys
from pathlib import Path

import pytest
from requirements.install import Told, told

from requirements import install


def test_a_house_s_own_index_is_the_only_one() -> None:
    found = told("global.index-url='https://index.example/simple'\n")
    assert found == Told({"UV_DEFAULT_INDEX": "https://index.example/simple"})


def test_several_values_and_files_are_all_told() -> None:
    found = told(
        "global.extra-index-url='https://a.example/simple https://b.example/simple'\n"
        "global.find-links='wheels more'\n"
        "global.constraint='allowed.txt'\n"
        "global.cert='authority.pem'\n"
    )
    assert found == Told(
        {
            "UV_INDEX": "https://a.example/simple https://b.example/simple",
            "UV_FIND_LINKS": "wheels,more",
            "SSL_CERT_FILE": "authority.pem",
        },
        ["allowed.txt"],
    )


def test_a_variable_holds_before_a_command_and_a_command_before_all() -> None:
    found = told(
        ":env:.index-url='https://variable.example'\n"
        "global.index-url='https://all.example'\n"
        "install.index-url='https://command.example'\n"
        "install.cert='command.pem'\n"
        "global.cert='all.pem'\n"
    )
    assert found == Told(
        {"UV_DEFAULT_INDEX": "https://variable.example", "SSL_CERT_FILE": "command.pem"}
    )


def test_what_says_nothing_of_sources_is_left_out() -> None:
    assert told(
        "global.timeout='60'\nlist.format='columns'\nglobal.disable-pip-version-check='1'\n"
    ) == Told()  # fmt: skip


@pytest.mark.parametrize(
    "setting",
    ["no-index='true'", "proxy='http://proxy.example'", "trusted-host='index.example'",
     "no-binary=':all:'", "only-binary=':all:'", "client-cert='me.pem'", "target='elsewhere'",
     "unheard-of='1'"],
)  # fmt: skip
def test_what_uv_cannot_be_told_leaves_it_to_pip(setting: str) -> None:
    assert told(f"global.index-url='https://index.example'\nglobal.{setting}\n") is None


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [("global.no-index='true'\n", "pip"), ("global.timeout='60'\n", "uv")],
)
def test_who_installs(
    configuration: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each program is stood in for by one that notes who was called."""
    notes = tmp_path / "notes"
    script = tmp_path / "program.py"
    script.write_text(
        "import sys, pathlib\n"
        f"pathlib.Path({str(notes)!r}).open('a').write(' '.join(sys.argv[1:3]) + '\\n')\n"
        f"print({configuration!r}) if 'config' in sys.argv else None\n"
    )
    monkeypatch.setattr(install, "PIP", (sys.executable, str(script), "pip"))
    monkeypatch.setattr(install, "UV", (sys.executable, str(script), "uv"))
    lock = tmp_path / "some.lock"
    lock.write_text("wheel==1 \\\n    --hash=sha256:00\n")
    project = tmp_path / "project"
    project.mkdir()
    assert install.install(lock, project) == 0
    *_, locked, built = notes.read_text().splitlines()
    assert (locked.split()[0], built.split()[0]) == (expected, expected)


def test_constraints_are_compared_with_pins_that_have_no_hashes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = tmp_path / "program.py"
    script.write_text(
        "import sys, pathlib\n"
        f"pathlib.Path({str(said)!r}).write_text(sys.stdin.read())\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setattr(install, "UV", (sys.executable, str(script)))
    lock = tmp_path / "some.lock"
    lock.write_text("one==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\ntwo==2 ; a < 'b'\n")
    assert not install._allowed(lock, Told(constraints=["allowed.txt"]))
    assert [line.strip() for line in said.read_text().splitlines()] == [
        "one==1",
        "two==2 ; a < 'b'",
    ]
    assert install._allowed(lock, Told())
