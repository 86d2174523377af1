"""Postal addresses and their parts."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from strongroom.engines.privacy.discover.text.forms.form import LETTER, LOWER, UPPER, Form

_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM"
    "|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|ON|QC|BC|AB|MB|SK|NS|NB|NSW|VIC|QLD|TAS"
)
# Street words of the US Postal Service (Publication 28, appendix C1), those that are common.
_STREET = (
    "Alley|Avenue|Ave|Boulevard|Blvd|Circle|Cir|Close|Court|Ct|Crescent|Cres|Cove|Crossing|Drive|Dr|Expressway|Freeway"
    "|Gardens|Gate|Green|Grove|Heights|Highway|Hwy|Hill|Landing|Lane|Ln|Loop|Mews|Parade|Park|Parkway|Pkwy|Pass|Path|Pike|Place|Pl|Plaza"
    "|Point|Ridge|Road|Rd|Row|Run|Square|Sq|Street|St|Terrace|Ter|Trace|Track|Trail|Trl|Turnpike|View|Vista|Walk|Way|Wharf|Yard|Creek|Route"
)
_NAME = rf"[{UPPER}0-9][{LETTER}0-9.'-]*"
_UNIT = r"(?:,?\s{1,2}(?i:apt|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|#)\.?\s?#?[A-Za-z0-9-]{1,8})?"
_ZIP = r"(?:\d{5}(?:-\d{4})?|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4})"
_TOWN = rf"(?:[{UPPER}][{LETTER}.'-]+(?:[ -][{UPPER}][{LETTER}.'-]+){{0,3}})"
_TAIL = rf"(?:,?\s{{1,3}}{_TOWN})?(?:,?\s{{1,3}}(?:{_STATES})\b\.?)?(?:,?\s{{1,3}}{_ZIP}\b)?(?:,?\s{{1,2}}(?:USA|U\.S\.A\.|US|UK|United States|United Kingdom|Canada|Australia|Ireland)\b)?"
_TAIL_EU = rf"(?:,?\s{{1,3}}(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?: ?[A-Z]{{2}}\b)?\s{{1,2}}{_TOWN})?"
# Lines that follow a street and end on a postcode: unit, town, region, country.
_LINES = rf"(?:,?\s{{1,6}}(?i:apt|apartment|suite|unit|flat)\.? ?#?[A-Za-z0-9-]{{1,6}})?(?:(?:\s{{0,2}},?\s{{1,6}}{_TOWN}){{1,3}},?\s{{1,6}}\d{{4,6}}\b)?"
_LEAD = r"(?:\d{1,6},? )?"

_WORDS_TOO = ("OR", "IN", "ME", "OK", "HI", "ON")


def _is_town(text: str) -> bool:
    """False for words in capitals before "OR" or "IN", which are states as well."""
    town, _, state = text.partition(", ")
    return not (town.isupper() and state in _WORDS_TOO)


FORMS = (
    Form("street_address", rf"\b\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,4}})? (?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? )?(?:{_NAME} ){{1,4}}(?:{_STREET})\b\.?(?: (?:N|S|E|W|NE|NW|SE|SW)\b\.?)?{_UNIT}{_TAIL}", 0.94),
    Form("street_address", rf"(?i)\b\d{{1,6}} (?:[a-z0-9.'-]{{2,}} ){{1,3}}(?:avenue|ave|boulevard|blvd|drive|highway|hwy|lane|parkway|pkwy|road|rd|street|st)\b\.?{_UNIT}(?:,? [a-z]{{3,}}(?: [a-z]{{3,}})?,? (?:{_STATES})\b,? \d{{5}}\b)?", 0.85),
    Form("street_address", rf"\b(?:{_NAME} ){{1,3}}(?:{_STREET})\b\.? \d{{1,5}}\b{_UNIT}{_TAIL_EU}", 0.7),
    Form("street_address", rf"\b{_LEAD}[{UPPER}][{LETTER}'-]{{2,}}(?:stras{{1,2}}e|str\.|weg|platz|gasse|allee|ring|damm|ufer|chaussee|straat|laan|plein|kade|gracht|gatan|vagen|veien|gade|vej|vaenget|vanget|stien|katu|tie|kuja|polku|utca|ulica|gata)\s?\d{{1,4}}\s?[a-z]?\b{_LINES}{_TAIL_EU}", 0.93),
    Form("street_address", rf"\b[{UPPER}][{LETTER}'-]{{2,}}[ -](?:Stras{{1,2}}e|Str\.|Weg|Platz|Gasse|Allee|Ring|Damm|Ufer|Straat|Laan|Plein)\s?\d{{1,4}}\s?[a-z]?\b{_LINES}{_TAIL_EU}", 0.92),
    Form("street_address", rf"(?i)\b\d{{1,4}}(?: ?(?:bis|ter))?,? (?:rue|avenue|av\.|boulevard|bd\.?|chemin|place|impasse|allee|quai|route|cours|passage) (?:(?:de|du|des|la|le|les|l'|d') ?){{0,3}}(?-i:[{UPPER}])[{LETTER}'-]{{2,}}(?:[ -](?-i:[{UPPER}])[{LETTER}'-]+){{0,3}}(?-i:{_TAIL_EU})", 0.92),
    Form("street_address", rf"(?i)\b(?:calle|c/|avenida|avda\.?|plaza|paseo|camino|carrer|via|viale|piazza|corso|largo|vicolo|rua|travessa|praca|alameda) (?:(?:de|del|della|dei|di|da|do|dos|das|la|las|los) ){{0,3}}(?-i:[{UPPER}])[{LETTER}'-]{{2,}}(?: (?:de |del |della |di |da |do )?(?-i:[{UPPER}])[{LETTER}'-]+){{0,3}},? ?(?:n\.?\x02? ?)?\d{{1,4}}(?:, ?\d\x02? ?[a-z]?)?\b(?-i:{_TAIL_EU})", 0.92),
    Form("street_address", rf"\b{_LEAD}[{UPPER}][{LETTER}'-]{{2,}} (?:u\.|ut|utca|ter|ulica|ul\.|sokak|cad\.)\s?\d{{1,4}}\.?{_LINES}", 0.85),
    Form("street_address", rf"\b(?i:address(?: of [A-Za-z\x82]+)?(?: is|:)|lives? at|living at|resid(?:es?|ing) at|located at|meet (?:you|me|us) at|moved to|ship(?:ped)? to|deliver(?:ed)? to|send (?:it|one|a new one) to|office is at)[ \n]{{1,2}}(\d{{1,6}}(?: [{LETTER}0-9.'-]+){{1,6}}(?:,? (?i:apt|suite|unit)\.? ?#?[A-Za-z0-9-]{{1,6}})?{_LINES})", 0.8, None, "", "context"),
    Form("street_address", r"(?i)\bp\.?\s?o\.?\s?box\s{1,2}\d{1,7}\b|\bpostfach\s\d{1,7}\b|\bapartado(?: de correos)?\s\d{1,7}\b|\bcasella postale\s\d{1,7}\b", 0.93),
    Form("street_address", rf"\b(?i:apt|apartment|suite|flat|unit)\.? ?#?\d{{1,5}}[A-Za-z]?\b{_TAIL}", 0.7),
    Form("street_address", r"\bPSC \d{1,5},? Box \d{1,6}(?:\s{1,3}(?:APO|FPO|DPO),? A[AEP],? \d{5})?|\b(?:APO|FPO|DPO),? A[AEP],? \d{5}\b|\b(?:Unit|USS|USNS|USNV|USCGC) [A-Za-z0-9]+(?: Box \d{1,6})?\s{1,3}(?:APO|FPO|DPO),? A[AEP],? \d{5}\b", 0.9),
    Form("city", rf"\b{_TOWN}, (?:{_STATES})(?:,? \d{{5}}(?:-\d{{4}})?)?\b", 0.86, _is_town),
    Form("postcode", r"\b(?:GIR ?0AA|[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2})\b", 0.82),
    Form("postcode", r"\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d\b", 0.85),
    Form("postcode", rf"\b(?:{_STATES}),? (\d{{5}}(?:-\d{{4}})?)\b", 0.85),
    Form("postcode", rf"\b(?:D|CH|A|F|NL|B|I|E)-\d{{4,5}}\b(?: {_TOWN})?", 0.85),
    Form("postcode", rf"\b\d{{5}} [{UPPER}][{LOWER}]{{2,}}(?:[ -](?:am|an der|im|sur|la|le|de|del)? ?[{UPPER}][{LOWER}]{{2,}})?\b", 0.6, None, r"(?i)addr|anschrift|wohn|adres|direcc|indirizz|straat|strasse|str\.|calle|via|rue|live|resid|home|,\s{0,2}$"),
)  # fmt: skip
