"""Values that a word before them names: record numbers, accounts, passwords, dates of birth."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

import re
from collections.abc import Callable

from strongroom.engines.privacy.discover.text import wordlists
from strongroom.engines.privacy.discover.text.forms.form import Form

# Members of objects, as in code: `self.pwd`, `str.lower`, `getpass.getpass(`.
_MEMBER = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)+[(\[]?")
# Values of code, types, and accounts that are nobody's.
_NO_VALUE = frozenset(
    """
    none null nil true false undefined int str string text bool bytes float any object self cls
    optional required default example value input output username user users password passwd pwd
    secret token key root admin administrator guest anonymous nobody postgres mysql www-data daemon
    system uid gid login name type args kwargs
    """.split()  # noqa: SIM905 # a list of words reads better so
)
# Licences of software: Apache-2.0, GPL-3.0-or-later, OFL-1.1.
_SOFTWARE_LICENCE = re.compile(
    r"(?i)(?:apache|[al]?gpl|bsd|mit|mpl|cc|cc0|ofl|epl|psf|zlib|isc|bsl|eupl|cddl|unlicen[cs]e|artistic"
    r"|python|boost|v)[-_]?.*|\d+(?:\.\d+)+"
)
_FILE = re.compile(r".*\.(?:svg|png|jpe?g|gif|html?|css|js|py|md|txt|json|ya?ml|csv|pdf|zip|gz)")
_LEAST_RANDOM = 20
_CALLED = r"[(\[]"


def _is_code(text: str) -> bool:
    """True for names and members in code, which stand where a value would."""
    bare = text.rstrip("():;,.").lower()
    return bare in _NO_VALUE or _MEMBER.fullmatch(text) is not None


def _is_secret(text: str) -> bool:
    """True for what looks drawn at random: words of a sentence or of code are no secrets."""
    if _is_code(text):
        return False
    if any(map(str.isdigit, text)):
        return True
    has_cases = any(map(str.islower, text)) and any(map(str.isupper, text[1:]))
    return has_cases and len(text) >= _LEAST_RANDOM and "_" not in text and "." not in text


def _is_password(text: str) -> bool:
    return not _is_code(text) and text.rstrip("():;,.").lower() not in wordlists.PLAIN


def _is_username(text: str) -> bool:
    return not _is_code(text) and text.lower() not in wordlists.PLAIN


def _is_licence(text: str) -> bool:
    return _SOFTWARE_LICENCE.fullmatch(text) is None


def _is_number_of_a_thing(text: str) -> bool:
    return _FILE.fullmatch(text.lower()) is None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "secret_key": _is_secret,
    "password": _is_password,
    "username": _is_username,
    "professional_licence": _is_licence,
    "customer_number": _is_number_of_a_thing,
}
_WRITTEN_IN_CODE = frozenset(("secret_key", "username"))

# What may stand between the word and the value: signs, "number", "is", a quotation mark.
_FILL = (
    r"(?:[ \t]{0,3}(?:[:=#>.\-\x02(]|\b(?i:numbers?|num|no|nr|nro|n|numero|nummer|id|code|is|was|ist|lautet|est|es|e|of|on file)\b\.?)){0,4}"
    r"[ \t\n]{0,3}[\"'\[(]?"
)
_MARK = r"(?:[ \t]{0,3}(?:[:=#\x02]|\b(?i:numbers?|num|no|nr|nro|numero|nummer|id|is|ist|est|es)\b\.?)[ \t]{0,2}){1,3}[\"'\[(]?"
_CODE = r"([A-Za-z0-9](?:[A-Za-z0-9./_-]*)\d(?:[A-Za-z0-9./_-]*[A-Za-z0-9])?)\b"
_NUMBER = r"(\d[\d -]{2,}\d)\b"
_DATE = (
    r"(\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{1,2}(?:st|nd|rd|th|\.)?[ -](?:of |de )?[A-Za-z\x82]{3,10}\.?,?[ -](?:de )?\d{2,4}"
    r"|[A-Za-z\x82]{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{2,4}|\d{8}|\d{2} \d{2} \d{4})\b"
)


def _after(
    type_name: str, words: str, value: str = _CODE, confidence: float = 0.96, fill: str = _FILL
) -> Form:
    lead = rf"(?i:\b(?:{words}))(?:\b|[ \t:=#])[\"']?{fill}"
    check = _CHECKS.get(type_name)
    behind = _CALLED if type_name in _WRITTEN_IN_CODE else ""
    return Form(
        type_name, lead + value, confidence, check, "", "context", lead, unless_behind=behind
    )


FORMS = (
    _after("date_of_birth", r"d\.?o\.?b\b\.?|date of birth|birth ?date|birthday|born(?: on)?|geb\.|geboren(?: am)?|geburtsdatum|date de naissance|nee? le|fecha de nacimiento|nacid[oa] el|data di nascita|nat[oa] il|geboortedatum|geboren op|data de nascimento|nascid[oa] em", _DATE, 0.97),
    _after("medical_record_number", r"mrn|m\.r\.n|medical record|med(?:ical)?\.? ?rec(?:ord)?|patient (?:id|identifier|number|no|nr|#)|pat(?:ient)?[ _-]?id|hospital (?:number|no|id)|chart (?:number|no|#|id)|record (?:number|no|#|id)|emr|ehr|patienten-?(?:nummer|id|nr)|fall-?(?:nummer|nr)|numero de dossier|historia clinica|nhc|cartella clinica|patientnummer|prontuario"),
    _after("prescriber_number", r"npi|national provider identifier", r"(\d{10})\b", 0.97),
    _after("prescriber_number", r"dea", r"([A-Za-z][A-Za-z9]\d{7})\b", 0.97),
    _after("health_insurance_number", r"insurance(?: (?:id|member|policy|card))?|ins(?:urance)? id|member(?:ship)?(?: id| number| no| #)|subscriber(?: id| number)?|medicare|medicaid|beneficiary|group (?:number|no|#|id)|health ?plan(?: id| number)?|policy holder id|versicherten-?(?:nummer|nr)|krankenversicherung|kvnr|numero de mutuelle|tarjeta sanitaria|tessera sanitaria"),
    _after("customer_number", r"policy|police|poliza|polizza|polis|apolice", _CODE, 0.88, _MARK),
    _after("professional_licence", r"bar|licen[cs]e|certification|registration|notary|gmc|nmc|lanr", _CODE, 0.85, _MARK),
    _after("professional_licence", r"notary licen[cs]e|medical licen[cs]e|state licen[cs]e|bar number|bar no\.?"),
    _after("case_number", r"accession|encounter|specimen|case|docket|cause|claim|aktenzeichen|az\.|geschaftszeichen|dossier|expediente|procedimento|proceeding|matter|citation|index|zaaknummer", _CODE, 0.88, _MARK),
    _after("passport_number", r"passport|passeport|pasaporte|passaporto|reisepass|passnummer|paspoort|visa"),
    _after("driving_licence", r"driv(?:er'?s?|ing) ?licen[cs]e|dl|d\.l\.|licen[cs]e (?:number|no|#)|fuhrerschein(?:nummer)?|permis de conduire|licencia de conducir|patente(?: di guida)?|rijbewijs|carteira de motorista|cnh"),
    _after("national_id", r"tax (?:id|identification|payer id)|ein|itin|tin|vat(?: id)?|ust-?id|steuernummer|steuer-?id(?:entifikationsnummer)?|idnr|numero fiscal|partita iva|nif|btw", confidence=0.9),
    _after("us_ssn", r"ssn|social security|social sec|soc sec", r"(\d{3}[ .-]{0,2}\d{2}[ .-]{0,2}\d{4}|\d{4})\b", 0.96),
    _after("nl_bsn", r"bsn|burgerservicenummer", r"(\d{9}|\d{4}\.\d{2}\.\d{3})\b", 0.96),
    _after("pl_pesel", r"pesel", r"(\d{11})\b", 0.97),
    _after("uk_nhs_number", r"nhs", r"(\d{3}[ -]?\d{3}[ -]?\d{4})\b", 0.97),
    _after("uk_nino", r"nino|national insurance|ni (?:number|no)", r"([A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d])\b", 0.97),
    _after("national_id", r"national id(?:entity)?(?: card)?|nid|identity (?:card|number)|id card|id number|identification number|citizen id|personalausweis(?:nummer)?|ausweis(?:nummer)?|carte d'identite|cni|dni|cedula|carta d'identita|identiteitskaart|aadhaar|aadhar|cpf|nir|insee|securite sociale|sozialversicherungs(?:nummer|nr)|rvnr|sin|nric|curp|personnummer|codice fiscale", r"([A-Za-z0-9][A-Za-z0-9. /-]{3,}\d[A-Za-z0-9]?)\b", confidence=0.9),
    _after("customer_number", r"employee (?:id|number|no|#)|emp(?:loyee)?[ _-]?id|staff (?:id|number|no)|badge(?: id| number| no)?|student (?:id|number|no)|user[ _-]?id|customer (?:id|number|no|#)|client (?:id|number|no)|cust(?:omer)?[ _-]?id|account[ _-]id|loyalty (?:number|card)|personalnummer|kunden-?(?:nummer|nr)|matrikelnummer|numero de client|numero de cliente|klantnummer|codice cliente"),
    _after("bank_account", r"(?:bank |checking |savings |a/c |acct\.? )?(?:account|acct|a/c)|konto-?(?:nummer|nr)|compte(?: bancaire)?|cuenta(?: bancaria)?|conto(?: corrente)?|rekening(?:nummer)?|conta", r"(\d[\d -]{4,}\d|[Xx*]{3,12}\d{3,4})\b", 0.88, _MARK),
    _after("bank_account", r"bank account|account number|account no\.?|acct no\.?", r"(\d[\d -]{4,}\d|[Xx*]{3,12}\d{3,4})\b", 0.93),
    _after("bank_account", r"routing|aba|sort code|bankleitzahl|blz", r"(\d{2}-?\d{2}-?\d{2}|\d{8,9})\b", 0.9),
    _after("bic", r"bic|swift", r"([A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b", 0.9),
    _after("payment_card", r"credit card|debit card|card (?:number|no|#)|cc(?: number|#)|kreditkarte(?:nnummer)?|carte bancaire|tarjeta(?: de credito)?|carta di credito|cartao", r"(\d(?:[ -]?\d){11,}|\d{4}|[xX*]{4}[xX* -]{0,12}\d{4})\b", 0.9),
    _after("card_security_code", r"cvv2?|cvc2?|cvn|security code|csc", r"(\d{3,4})\b", 0.93),
    _after("password", r"pin(?: code)?|otp|one[ -]time (?:code|password)|verification code|2fa code", r"(\d{4,8})\b", 0.85, _MARK),
    _after("password", r"password|passwd|pwd|passphrase|passwort|kennwort|mot de passe|contrasena|wachtwoord|senha|db_pass(?:word)?", r"([^\s\"'<>,;]{4,}[^\s\"'<>,;.)])", 0.9, r"[\"']?(?:[ \t]{0,2}(?:[:=]|\b(?i:is|was|to|ist|est|es)\b)[ \t]{0,2})[\"']?"),
    _after("secret_key", r"(?:api|access|secret|auth|private|client|encryption|signing|webhook|session|bearer|refresh|account|shared|master)[ _-]?(?:key(?:[ _-]?id)?|token|secret)|secret|token|authorization:? bearer|bearer|x-api-key|aws_secret_access_key|apikey|credential", r"([A-Za-z0-9+/_.~=-]{8,})", 0.9, r"[\"']?(?:[ \t]{0,2}(?:[:=]|\b(?i:is|was)\b|(?i:bearer))[ \t]{0,2}){0,2}[ \t\"']{1,2}"),
    _after("secret_key", r"(?:api|access|secret|auth|private|client|encryption|signing|webhook|session|refresh|account|shared|master)?[ _-]?(?:key|token|secret)", r"([A-Za-z0-9+/_.~=-]{8,})", 0.9, r"[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?"),
    _after("username", r"user ?name|user-?id|login|logon|user|screen ?name|benutzer(?:name)?|nom d'utilisateur|usuario|gebruikersnaam|nome utente|uid|account name|username", r"([A-Za-z][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+){0,3}(?:\d|\b))", 0.82, r"[\"']?[ \t]{0,2}(?:[:=]|\b(?i:is|was|ist|est|es)\b)[ \t]{0,2}[\"']?"),
    _after("device_id", r"imei|meid|esn|serial(?: number| no)?|s/n|device (?:id|identifier|serial)|udid|idfa|gaid|seriennummer|numero de serie|implant(?: serial)?"),
    _after("vin", r"vin|vehicle identification(?: number)?|chassis|fahrgestellnummer", r"([A-HJ-NPR-Za-hj-npr-z0-9]{11,})\b", 0.95),
    _after("licence_plate", r"licen[cs]e plate|plate|number plate|vehicle registration|reg(?:istration)? (?:no|number|plate)|kennzeichen|immatriculation|matricula|targa|kenteken|placa", r"([A-Z0-9]{1,4}[ -]?[A-Z0-9]{1,4}(?:[ -][A-Z0-9]{1,4})?)\b", 0.88, _MARK),
    _after("licence_plate", r"licen[cs]e plate|number plate|plates?|kennzeichen", r"([A-Z]{1,3}-[A-Z]{1,2}[ -]?\d{1,4}[EH]?|[A-Z0-9]{2,4}[ -]?\d{2,4}[A-Z]{0,3})\b", 0.85),
    _after("biometric", r"fingerprint(?: id)?|biometric(?: id)?|retina(?: scan)?(?: id)?|face ?id|voice ?print(?: id)?"),
    _after("postcode", r"zip(?: ?code)?|post(?:al)? ?code|postcode|plz|postleitzahl|code postal|codigo postal|cap|pin ?code|cep", r"([A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d|\d{5}-\d{3,4}|\d{4,6}(?: ?[A-Z]{2})?)\b", 0.9),
    _after("phone", r"tel(?:e?phone)?|phone|ph|mobile?|cell(?: ?phone)?|fax|handy|telefon(?:nummer)?|rufnummer|telefono|movil|celular|cellulare|telefoon|portable|whatsapp|sms|durchwahl|ruckfragen|call(?: me)?(?: at| on)?|ring(?: me)?(?: at| on)?|reach (?:me |us |her |him )?(?:at|on)", r"(\+?[(]?\d[\d ().\-/]{5,}\d)\b", 0.93),
    _after("phone", r"emergency|contact", r"(\+?[(]?\d[\d ().\-/]{6,}\d)\b", 0.85, r"[:#]?[ \t]{0,2}"),
)  # fmt: skip
