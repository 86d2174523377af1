"""Dates in words and figures, and ages."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from strongroom.engines.privacy.discover.text.forms.form import VERSION_BEFORE, VERSION_BEHIND, Form

_MONTHS = (
    "jan(?:uary|uar|vier|uari)?|feb(?:ruary|ruar|ruari)?|fevr(?:ier)?|mar(?:ch|s|zo|co)?|marz|maerz|maart|maj"
    "|apr(?:il|ile)?|avr(?:il)?|may|mai|mei|mayo|maggio|maio|jun[ei]?|juin|junio|juni|giugno|junho"
    "|jul[iy]?|juil(?:let)?|julio|luglio|julho|aug(?:ust|ustus)?|aout|agosto|ago|sept?(?:ember|embre)?"
    "|septiembre|settembre|setembro|set|o[ck]t(?:ober|obre)?|octubre|ottobre|outubro|out|nov(?:ember|embre|iembre)?|novembro"
    "|de[cz](?:ember|embre|iembre)?|dezembro|dicembre|diciembre|dic|enero|ene|febrero|febbraio|gennaio|gen|janeiro|fevereiro|abril|abr"
    "|giu|lug|ott"
)
_YEAR = r"(?:1[89]\d{2}|20\d{2}|'\d{2})"
_TIME = r"(?:[T ,]{1,2}(?:at )?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?(?i:am|pm|h|uhr|z|utc|gmt))?(?:\s?[+-]\d{2}:?\d{2})?)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"


def _is_day_month(text: str) -> bool:
    """True where two of the first figures can be a day and a month."""
    parts = [int(part) for part in text.replace("/", "-").replace(".", "-").split("-")[:2]]
    return min(parts) <= 12 and max(parts) <= 31


FORMS = (
    Form("date", rf"\b(?:1[89]|20)\d{{2}}-{_MONTH}-{_DAY}(?:{_TIME}|\b)", 0.95),
    Form("date", rf"\b(?:1[89]|20)\d{{2}}[/.]{_MONTH}[/.]{_DAY}(?:{_TIME}|\b)", 0.93),
    Form("date", rf"\b{_DAY}[/.-]{_DAY}[/.-](?:1[89]|20)\d{{2}}(?:{_TIME}|\b)", 0.94, _is_day_month),
    Form("date", rf"\b{_DAY}/{_DAY}/\d{{2}}(?:{_TIME}|\b)", 0.88, _is_day_month),
    Form("date", rf"\b{_DAY}[.-]{_DAY}[.-]\d{{2}}\b", 0.7, _is_day_month, unless=VERSION_BEFORE, unless_behind=VERSION_BEHIND),
    Form("date", rf"(?i)\b{_DAY}(?:st|nd|rd|th|er|\.)?[ -](?:of |de |d'|di )?(?:{_MONTHS})\b\.?(?:,?[ -](?:de |del )?{_YEAR})?{_TIME}?", 0.9),
    Form("date", rf"(?i)\b(?:{_MONTHS})\b\.?[ -]{_DAY}(?:st|nd|rd|th)?\b(?:,?\s{{1,2}}{_YEAR})?{_TIME}?", 0.9),
    Form("date", rf"(?i)\b(?:{_MONTHS})\b\.?,?[ -](?:de |del |of )?(?:1[89]\d{{2}}|20\d{{2}})\b", 0.75),
    Form("date", rf"\b{_MONTH}/(?:19|20)\d{{2}}\b", 0.65),
    # HIPAA counts ages above 89; others are reported as well, less sure.
    Form("age", r"(?i)\b((?:1[01]\d|\d{1,2}))[ -]?(?:years?|yrs?|yo|y/o|y\.o\.|jahre?|ans|anos|anni|jaar)(?:[ -](?:old|of age|alt|oud))?\b", 0.75, unless_behind=r"(?i)[ -]?(?:years?|yrs?|jahre|ans|anos|anni|jaar)[ -](?:cycle|period|plan|term|bond|lease|warranty|guarantee|contract|ago|later|earlier|experience|sentence|follow|study|survival|loan|mortgage)"),
    Form("age", r"(?i)\b(?:aged?|age:|age is|age of|alter:?|edad:?|leeftijd:?|idade:?)[: ]{1,2}((?:1[01]\d|\d{1,2}))\b", 0.8, None, "", "context"),
)  # fmt: skip
