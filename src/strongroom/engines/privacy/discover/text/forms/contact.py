"""Addresses in networks: mail, web, devices, accounts, positions on earth."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

import ipaddress

from strongroom.engines.privacy.discover.text.forms.form import (
    LETTER,
    VERSION_BEFORE,
    VERSION_BEHIND,
    Form,
)

# At most 64 signs before the sign (RFC 5321, 4.5.3.1.1), so that no start of many reads on and on.
_LOCAL = rf"[{LETTER}0-9_](?:[{LETTER}0-9._%+'-]{{0,62}}[{LETTER}0-9_+-])?"
_DOMAIN = rf"(?:[{LETTER}0-9](?:[{LETTER}0-9-]*[{LETTER}0-9])?\.){{1,8}}[{LETTER}]{{2,}}"
_TLD = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|co|dev|app|me|eu|de|fr|es|it|nl|pt|uk|us|ca|au|ch"
    "|at|be|ie|in|jp|br|se|no|dk|fi|pl|cz|ru|cn|xyz|tech|health|cloud|online|local|internal|test"
    "|example|c0m|0rg|n3t|corn"
)
_AT = r"(?:\s{0,2}[\[({<]\s{0,2}(?i:at|@|arobase|chez|arroba)\s{0,2}[\])}>]\s{0,2}|\s{1,2}(?i:at|arobase|arroba)\s{1,2}|\s{1,2}@\s{0,2}|@\s{1,2}|(?i:&#64;|&commat;|%40|_at_|\(a\)))"
_DOT = r"(?:\s{0,2}[\[({<]\s{0,2}(?i:dot|punkt|point|punto|\.)\s{0,2}[\])}>]\s{0,2}|\s{1,2}(?i:dot|punkt|point|punto)\s{1,2}|(?i:&#46;|&period;|%2e|_dot_)|\s?\.\s?)"
_WORD = rf"[{LETTER}0-9_+-]{{1,64}}"
_NOBODYS = frozenset(("0", "127", "255"))
"""First parts of addresses that no machine has in a network (RFC 6890)."""
# Of Python, Java, JavaScript, Javadoc and style sheets: with a sign before them, and no accounts.
_CODE_WORDS = frozenset(
    """
    abstractmethod abstractproperty async attention author autowired bean cache cached_property
    charset classmethod code component contextmanager controller copyright dataclass default
    deprecated description device doc document enum example example fixture font-face functools
    import include inject injectable interface internal keyframes link lru_cache media mixin module
    name namespace njit nullable override overload package page param parametrize private property
    protected public pytest raise raises return returns rtype service since singledispatch
    staticmethod supports suppresswarnings test throws todo total_ordering type typedef unique
    value var variable version wraps
    """.split()  # noqa: SIM905 # a list of words reads better so
)
# A call, or the line of a function or class that it decorates.
_DECORATES = r"\(|\[|\.[a-z]|/|\r?\n[ \t]{0,40}(?:def|class|async|@|fun|function|public|private|protected|static|export|const|val|var|void)\b"
# Members and calls in code: `decision.at`, `word.at.isoformat()`, `faked.fr.1.gz`.
_MEMBER_BEFORE, _MEMBER_BEHIND = (
    r"[{(\[=.@/'\"_]$|(?:import|return|from|del|in|not|and|or|self) $",
    r"[({\[=}]|\.[A-Za-z0-9_]|, ?$| ?=",
)


def _is_ipv4(text: str) -> bool:
    """True for an address that can be somebody's: not of the machine itself, and no mask."""
    address, _, prefix = text.partition("/")
    parts = address.split(".")
    if len(parts) != 4 or parts[0] in _NOBODYS:
        return False
    if any(int(part) > 255 or (part[0] == "0" and part != "0") for part in parts):
        return False
    return int(prefix or 0) <= 32


def _is_disguised_ip(text: str) -> bool:
    """An address whose points stand in brackets or are written out."""
    if "[" not in text and "(" not in text:
        return False
    plain = text.replace("dot", ".").replace(" ", "")
    for sign in "[]()":
        plain = plain.replace(sign, "")
    return _is_ipv4(plain)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return text.count(":") >= 2 and len(text) >= 5 and _is_ip(text.partition("%")[0])


def _is_position(text: str) -> bool:
    numbers = [part.strip(" ()") for part in text.replace(";", ",").split(",")]
    try:
        latitude, longitude = (float(number) for number in numbers)
    except ValueError:
        return False
    return abs(latitude) <= 90 and abs(longitude) <= 180


FORMS = (
    # A connection string holds a user and a password; found before the address inside it.
    Form("connection_string", r"\b[a-z][a-z0-9+]{2,}://[^\s:@/\"'<>]+:[^\s@/\"'<>]+@[^\s\"'<>]+", 0.97),
    Form("email", rf"{_LOCAL}@{_DOMAIN}", 0.98),
    Form("email", rf"{_WORD}(?:{_DOT}{_WORD}){{0,3}}{_AT}{_WORD}(?:{_DOT}{_WORD}){{0,3}}{_DOT}(?i:{_TLD})\b", 0.92),
    Form("email", rf"{_LOCAL}@{_WORD}(?:{_DOT}{_WORD}){{0,2}}{_DOT}(?i:{_TLD})\b", 0.92),
    # Letters set apart: j o h n @ m a i l . c o m
    Form("email", rf"(?:[{LETTER}0-9._-] ){{3,}}@(?: [{LETTER}0-9_-]){{2,}} \.(?: [{LETTER}]){{2,6}}\b", 0.93),
    Form("ip_address", r"\b\d{1,3}(?:\.\d{1,3}){3,}(?:/\d{1,2})?\b", 0.95, _is_ipv4, unless=VERSION_BEFORE, unless_behind=VERSION_BEHIND),
    Form("ip_address", r"\b\d{1,3}(?:\s?(?:\.|\[\.\]|\(\.\)|\[dot\]|\(dot\))\s?\d{1,3}){3}\b", 0.93, _is_disguised_ip),
    Form("ip_address", r"(?i)(?:\b(?:[0-9a-f]{1,4}:){6}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4}:[0-9a-f]{1,4})|(?:\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}:){0,6}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4})?)(?:%[a-z0-9]{1,12})?", 0.95, _is_ipv6),
    Form("mac_address", r"(?i)\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b|\b[0-9a-f]{2}(?:-[0-9a-f]{2}){5}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b", 0.97),
    Form("coordinates", r"[-+]?\b\d{1,2}\.\d{3,12}\s?[,;]\s?[-+]?\d{1,3}\.\d{3,12}\b", 0.9, _is_position),
    Form("coordinates", r"\b\d{1,2}(?:\.\d{1,8})?\s?\x02?\s?(?:\d{1,2}'\s?(?:\d{1,2}(?:\.\d+)?\"\s?)?)?[NS]\b[,;]?\s{0,2}\d{1,3}(?:\.\d{1,8})?\s?\x02?\s?(?:\d{1,2}'\s?(?:\d{1,2}(?:\.\d+)?\"\s?)?)?[EWO]\b", 0.93),
    Form("social_handle", r"(?:^|[\s(\"',:>\x02])(@[A-Za-z0-9_][A-Za-z0-9_.]+[A-Za-z0-9_])", 0.72, lambda text: text[1:].lower() not in _CODE_WORDS, unless_behind=_DECORATES),
    Form("device_id", r"\b[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\b", 0.6),
)  # fmt: skip
# Apart from the rest: the data inside a web address is found as well.
WEB = (
    Form("url", r"\b(?i:https?|ftps?|sftp|hxxps?)(?::|\[:\])//[^\s\"'<>|\x00]{2,}[^\s\"'<>|\x00.,;:!?)\]}]", 0.95),
    Form("url", rf"\b(?i:www)\.(?:[{LETTER}0-9-]+\.){{1,5}}[{LETTER}]{{2,}}(?:/[^\s\"'<>|\x00]*[^\s\"'<>|\x00.,;:!?)\]}}])?", 0.95),
    Form("url", r"(?:^|[^A-Za-z0-9{(\[=.@/'\"_-])((?i:[a-z0-9][a-z0-9-]*\.(?:[a-z0-9-]+\.){0,4}(?:com|org|net|edu|gov|io|co|me|info|biz|de|fr|es|it|nl|pt|uk|ch|at|eu|us|ca|au|ly|gl|fm|tv))\b(?:/[^\s\"'<>|\x00]*[^\s\"'<>|\x00.,;:!?)\]}])?)", 0.75, unless=_MEMBER_BEFORE, unless_behind=_MEMBER_BEHIND),
)  # fmt: skip
