"""How a person or a device of theirs is reached."""

import ipaddress

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule


def _is_ip_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address, with or without prefix length or port."""
    host, _, port = text.partition("]") if text.startswith("[") else text.partition(":")
    if text.startswith("[") or (port and "." in host):
        text = host.lstrip("[")
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


RULES = (
    Rule(
        "email",
        "e-mail address",
        Role.DIRECT,
        hipaa="F",
        headers=(
            "email", "e mail", "mail", "email address", "e mail address", "mail address",
            "contact email", "courriel", "correo", "correo electronico", "emailadresse",
            "email addr", "eml", "user email", "work email", "personal email", "smtp addr", "epost",
        ),
        weak_headers=("contact", "login", "user", "username", "account"),
        grammars=(
            # RFC 5322 dot-atom; quoted local parts are left out on purpose.
            Grammar(r"[\pL\pN!#$%&'*+/=?^_`{|}~-]+(?:\.[\pL\pN!#$%&'*+/=?^_`{|}~-]+)*"
                    r"@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+\pL+", 0.98, 0.99),
            Grammar(r"(?:mailto:|[\pL\pM .,'\"-]+\s?<)[^\s@<>]+@[^\s@<>]+\.[a-zA-Z]{2,24}>?",
                    0.95, 0.99),
        ),
    ),
    Rule(
        "phone",
        "phone number",
        Role.DIRECT,
        hipaa="DE",
        headers=(
            "phone", "phone number", "telephone", "tel", "mobile", "mobile number", "cell",
            "cell phone", "cellphone", "phone no", "phone num", "fax", "fax number", "handy",
            "telefon", "telefonnummer", "handynummer", "rufnummer", "portable", "telephone number",
            "telefono", "movil", "celular", "cellulare", "telefoon", "gsm", "mobiel", "telemovel",
            "contact number", "msisdn", "home phone", "work phone", "whatsapp", "ph no", "phn",
            "tel no", "mob", "phone nbr", "telf1", "tlf", "tlf nr", "mobil",
        ),
        weak_headers=("ph", "contact", "number"),
        # The grammar of phone numbers is checked by phonenumbers in `phones.py`; this form only
        # says what may be one.
    ),
    Rule(
        "ip_address",
        "IP address",
        Role.DIRECT,
        hipaa="O",
        headers=("ip", "ip address", "client ip", "source ip", "src ip", "dest ip", "remote ip",
                 "ip addr", "remote addr", "ipv4", "ipv6", "host ip", "ipaddress"),
        weak_headers=("address", "addr", "host"),
        grammars=(
            Grammar(r"(?i)\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2}|:\d{1,5})?"
                    r"|\[[0-9a-f:]*:[0-9a-f:.]*\](?::\d{1,5})?|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*"
                    r"(?:/\d{1,3})?", 0.95, 0.99, _is_ip_address, 0.8),
        ),
    ),
    Rule(
        "mac_address",
        "network hardware address",
        Role.DIRECT,
        hipaa="M",
        headers=("mac", "mac address", "mac addr", "hardware address", "ethernet address",
                 "macaddress", "bssid", "bluetooth address"),
        grammars=(
            Grammar(r"(?i)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}"
                    r"|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", 0.97, 0.99),
            Grammar(r"(?i)[0-9a-f]{12}", 0.0, 0.9),
        ),
    ),
    Rule(
        "url",
        "web address",
        Role.DIRECT,
        hipaa="N",
        headers=("url", "website", "web site", "homepage", "home page", "web", "web address",
                 "link", "profile url", "site web", "webseite", "sitio web", "uri", "web page"),
        weak_headers=("site", "page", "href"),
        grammars=(
            Grammar(r"(?i)(?:https?|ftp)://[^\s]+", 0.95, 0.98),
            Grammar(r"(?i)www\.[^\s/]+\.[a-z]{2,24}(?:/[^\s]*)?", 0.93, 0.97),
            Grammar(r"(?i)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}(?:/[^\s]*)?",
                    0.0, 0.9),
        ),
    ),
    Rule(
        "social_handle",
        "name on a social network",
        Role.DIRECT,
        hipaa="R",
        headers=("twitter", "twitter handle", "instagram", "handle", "linkedin", "skype",
                 "facebook", "telegram", "social handle", "github"),
        grammars=(Grammar(r"@[A-Za-z0-9_.-]{2,30}", 0.85, 0.97),),
        plausible=r"@?[A-Za-z0-9_.-]{2,40}",
    ),
    Rule(
        "username",
        "user name",
        Role.DIRECT,
        hipaa="R",
        headers=("username", "user name", "login", "login name", "user login", "benutzername",
                 "nom d utilisateur", "screen name", "userid"),
        weak_headers=("user", "account"),
        plausible=r"[\pL\pN][\pL\pN._@-]+",
    ),
)  # fmt: skip
