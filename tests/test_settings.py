from pathlib import Path

import pytest

from strongroom.errors import ValidationError
from strongroom.settings import Settings, declared, load


def test_defaults_hold_without_anything_given(tmp_path: Path) -> None:
    settings = load({"STRONGROOM_HOME": str(tmp_path)})
    assert settings == Settings(home=tmp_path)


def test_flag_beats_variable_beats_file(tmp_path: Path) -> None:
    (tmp_path / "strongroom.toml").write_text('port = 1\nhost = "::1"\nlog_level = "debug"\n')
    environment = {"STRONGROOM_HOME": str(tmp_path), "STRONGROOM_PORT": "2", "STRONGROOM_HOST": "h"}
    settings = load(environment, port=3, host=None)
    assert (settings.port, settings.host, settings.log_level) == (3, "h", "debug")


def test_the_home_is_expanded() -> None:
    assert load({}, home=Path("~/x")).home == Path.home() / "x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("porto = 1", "unknown setting `porto`"),
        ('port = "many"', "`port` must be a whole number"),
        ("port = -1", "`port` must be a whole number"),
        ("port = true", "`port` must be a whole number"),
        ("host = 3", "`host` must be a text"),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "strongroom.toml").write_text(text)
    with pytest.raises(ValidationError, match=words):
        load({"STRONGROOM_HOME": str(tmp_path)})


def test_every_setting_says_why() -> None:
    for name, hint in declared().items():
        why = getattr(hint, "__metadata__", ("",))[0]
        assert len(why) > 10, name
