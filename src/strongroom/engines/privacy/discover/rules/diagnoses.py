"""Which categories ICD-10 has, and how words for illnesses are built."""

# Letter → the numbers of its categories: those of ICD-10 (WHO) and of its clinical modification of
# the United States (ICD-10-CM, 2025), compared with machine-readable lists of both; of the chapter
# for special purposes (U) also those that WHO added since 2020 and Germany (ICD-10-GM) uses.
_CATEGORY_NUMBERS = {
    "A": "00-09 15-28 30-44 46 48-60 63-71 74-75 77-99",
    "B": "00-10 15-27 30 33-60 64-83 85-92 94-99",
    "C": "00-26 30-34 37-41 43-58 60-86 88 90-97",
    "D": "00-07 09-53 55-78 80-84 86 89",
    "E": "00-16 20-32 34-36 40-46 50-56 58-61 63-68 70-80 83-90",
    "F": "00-07 09-25 28-34 38-45 48 50-55 59-66 68-73 78-84 88-95 98-99",
    "G": "00-14 20-26 30-32 35-37 40-41 43-47 50-65 70-73 80-83 89-99",
    "H": "00-06 10-11 13 15-22 25-28 30-36 40 42-55 57-62 65-75 80-83 90-95",
    "I": "00-02 05-13 15-16 20-28 30-52 60-89 95-99",
    "J": "00-06 09-18 20-22 30-47 60-70 80-82 84-86 90-96 98-99",
    "K": "00-14 20-23 25-31 35-38 40-46 50-52 55-68 70-77 80-83 85-87 90-95",
    "L": "00-05 08 10-14 20-30 40-45 49-60 62-68 70-76 80-95 97-99",
    "M": "00-27 30-36 40-43 45-51 53-54 60-63 65-68 70-73 75-77 79-97 99",
    "N": "00-08 10-23 25-37 39-53 60-65 70-77 80-99",
    "O": "00-16 20-26 28-36 40-48 60-77 80-92 94-99",
    "P": "00-05 07-15 19-29 35-39 50-61 70-72 74-78 80-81 83-84 90-96",
    "Q": "00-07 10-18 20-28 30-45 50-56 60-87 89-93 95-99",
    "R": "00-07 09-23 25-27 29-37 39-65 68-99",
    "S": "00-99",
    "T": "00-71 73-76 78-88 90-98",
    "U": "04 06-13 50-52 55 60-61 69 80-85 99",
    "V": "00-06 09-99",
    "W": "00-46 49-62 64-70 73-81 83-94 99",
    "X": "00-06 08-54 57-99",
    "Y": "00-38 40-66 69-93 95-99",
    "Z": "00-05 08-99",
}  # fmt: skip


def _numbers(blocks: str) -> set[str]:
    ends = [block.partition("-") for block in blocks.split()]
    return {f"{at:02}" for low, _, high in ends for at in range(int(low), int(high or low) + 1)}


_CATEGORIES = frozenset(
    letter + number for letter, blocks in _CATEGORY_NUMBERS.items() for number in _numbers(blocks)
)
_LETTERED = frozenset({"C4A", "C7A", "C7B", "D3A", "I1A", "I5A", "J4A", "M1A", "O9A", "Z3A"})
"""Categories of ICD-10-CM that end in a letter."""


def is_icd_category(text: str) -> bool:
    """True for a code whose category exists: its first three signs, in either case."""
    code = text[:3].upper()
    return code in _CATEGORIES or code in _LETTERED


# Greek and Latin endings, and the words that stand in most names of illnesses; English, German,
# French, Spanish, Italian, Portuguese and Dutch.
_ENDINGS = (
    "itis|osis|a?emia|ämie|opath(?:y|ia|ie)|algi[ae]|plegi[ae]|phreni[ae]|thyroidism|iasis"
    "|rrh[oe]+a|rrhagia|carcinom[ae]?|sarcom[ae]?|lymphom[ae]?|melanom[ae]?|blastom[ae]?|gliom[ae]?"
    "|krebs|krankheit|infarkt|störung|insuffizienz|schwäche|fieber"
)
_WORDS = (
    "cancers?|tumou?rs?|diseases?|syndrom[ea]?|disorders?|diabetes?|asthma|asma|migraine|migraña"
    "|epilep(?:sy|sia|sie)|depression|depressão|depresión|anxiety|dementia|demen[zc]"
    "|(?:hyper|hypo)tension|hypertonie|infections?|infarction|fractures?|heart failure"
    "|renal failure|insufficiency|insuffisance|maladie|enfermedad|malattia|doença|ziekte|cáncer"
    "|cancro|pneumonia|influenza|grippe|gout|gicht|stroke|schlaganfall|copd|hiv|aids|adhd|ptsd|tubercul\\pL+"
    "|covid(?:-19)?|scleros[ie]s?|parkinson(?:'s)?|alzheimer(?:'s)?|palsy|fibrillation|arrhythmia"
    "|angina|eczema|ekzem|psoriasis|lupus|obesity|adipositas|obesidad|allerg(?:y|ie|ia|ies)|hernia"
    "|ulcer|sepsis|autism|malaria|measles|masern|rubella|mumps|cholera"
)
ILLNESS = rf"(?i)(?:[^ ]+ ){{0,4}}(?:\pL{{2,30}}(?:{_ENDINGS})|{_WORDS}),?(?: [^ ]+){{0,5}}"
"""Names of illnesses, of few words: sentences are searched as text."""
