"""The texts that the name model is trained on: repeatable, and labelled where the names stand."""

from training.names.corpora import consistent, is_trained_on, swapped
from training.names.generate import Generator


def test_the_same_seed_makes_the_same_texts() -> None:
    first, second = Generator(7), Generator(7)
    assert [first.text() for _ in range(20)] == [second.text() for _ in range(20)]


def test_labels_stand_at_names() -> None:
    generator = Generator(8)
    for _ in range(200):
        text, spans = generator.text()
        for start, end, label in spans:
            assert label in {"PER", "LOC", "ORG"}
            assert text[start:end].strip() == text[start:end] != ""


def test_swapping_keeps_labels_at_names() -> None:
    generator = Generator(9)
    text, spans = swapped(
        ("ann lee met BOB", [(0, 7, "PER"), (12, 15, "PER")]), generator, generator.random
    )
    assert text[spans[0][0] : spans[0][1]] in text
    assert " met " in text
    assert len(spans) == 2


def test_every_mention_of_a_labelled_person_is_labelled() -> None:
    document = ("Ann Lee saw Dr. Jackson. Lee left.", [(0, 7, "PER")])
    text, spans = consistent(document)
    assert [text[s:e] for s, e, _ in spans] == ["Ann Lee", "Dr. Jackson", "Lee"]


def test_the_halves_of_a_corpus_follow_from_identities_alone() -> None:
    halves = [is_trained_on(f"document {n}") for n in range(1000)]
    assert 450 <= sum(halves) <= 550
    assert halves == [is_trained_on(f"document {n}") for n in range(1000)]
