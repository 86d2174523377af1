"""Which language a text is in."""

import pytest

from strongroom.engines.privacy.discover.text.language import NAMES, language_of, languages_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The patient was seen at the clinic and is doing well.", "en"),
        ("Der Patient wurde in der Klinik behandelt und ist wohlauf.", "de"),
        ("Le patient a été vu à la clinique et il est en bonne santé.", "fr"),
        ("El paciente fue visto en la clínica y está muy bien.", "es"),
        ("Il paziente è stato visto nella clinica e sta bene, ma non è guarito.", "it"),
        ("De patiënt is gezien in het ziekenhuis en het gaat goed met hem.", "nl"),
        ("O paciente foi visto na clínica e está bem, mas não em casa.", "pt"),
        ("", "unknown"),
        ("ok", "unknown"),
        ("John Smith 12", "unknown"),
        ("患者は診療所で診察を受けた。", "unknown"),
        ("de la", "unknown"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert language_of(text) == language


def test_shares_of_languages_count_texts_of_none() -> None:
    english, german = "it is what it is and that is all", "das ist nicht so und wird es auch nicht"
    assert languages_of([german, english, english, "12 34"]) == {"en": 0.5, "de": 0.25}
    assert languages_of([]) == {}
    assert {language_of(english), language_of(german)} <= NAMES.keys()
