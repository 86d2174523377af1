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
        ("port = 65536", "`port` may be at most 65535"),
        ("key_cache_seconds = 61", "`key_cache_seconds` may be at most 60"),
        ("api_key_days = 1000000000", "`api_key_days` may be at most 3650"),
        ("calls_per_minute = 0", "`calls_per_minute` must not be 0"),
        ('log_level = "loud"', "`log_level` must be one of: debug, info"),
        ('record_predictions = "never"', "`record_predictions` must be one of: before_answer"),
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
