"""Credentials, devices, and forms that look personal but are not."""

from stdnum import ean, imei, isbn

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

RULES = (
    Rule(
        "password",
        "password or its hash",
        Role.SECRET,
        headers=("password", "passwd", "pwd", "passphrase", "password hash", "passwort",
                 "mot de passe", "contrasena", "user password", "pin", "pass hash"),
        grammars=(
            # Modular crypt format: bcrypt, scrypt, Argon2, SHA-crypt.
            Grammar(r"\$(?:2[abxy]?|argon2(?:id?|d)|scrypt|5|6|pbkdf2[a-z0-9-]*)\$.{20,200}",
                    0.97, 0.99),
        ),
        plausible=r"(?s)\S.{3,255}",
        header_confidence=0.9,
    ),
    Rule(
        "secret_key",
        "API key, token or private key",
        Role.SECRET,
        headers=("api key", "apikey", "secret", "secret key", "access key", "access token",
                 "auth token", "private key", "token", "refresh token", "client secret",
                 "session token", "bearer token", "otp secret", "webhook secret"),
        grammars=(
            Grammar(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*", 0.99, 0.99),
            Grammar(r"(?:AKIA|ASIA)[A-Z0-9]{16}", 0.98, 0.99),
            Grammar(r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}", 0.98, 0.99),
            Grammar(r"xox[abprs]-[A-Za-z0-9-]{10,}", 0.98, 0.99),
            Grammar(r"sk_(?:live|test)_[A-Za-z0-9]{16,}|srk_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}",
                    0.98, 0.99),
            Grammar(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", 0.98, 0.99),
            Grammar(r"AIza[A-Za-z0-9_-]{35}", 0.98, 0.99),
        ),
        plausible=r"[A-Za-z0-9+/=_.~-]{16,512}",
        header_confidence=0.85,
    ),
    Rule(
        "device_id",
        "number of a device",
        Role.DIRECT,
        hipaa="M",
        headers=("device id", "imei", "imei number", "serial number", "device serial", "idfa",
                 "gaid", "advertising id", "android id", "udid", "device identifier", "cookie id",
                 "esn", "meid", "device uuid"),
        grammars=(
            Grammar(r"\d{15}|\d{2}-\d{6}-\d{6}-\d", 0.85, 0.98, imei.is_valid, 0.9),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9:._-]{5,63}",
    ),
    Rule(
        "article_number",
        "article number of a product or book",
        Role.PLAIN,
        headers=("ean", "ean13", "ean 13", "gtin", "upc", "barcode", "isbn", "sku", "asin"),
        grammars=(
            Grammar(r"\d{8}|\d{12,14}", 0.9, 0.97, ean.is_valid, 0.9),
            Grammar(r"97[89][- ]?(?:\d[- ]?){9}[\dXx]", 0.9, 0.97, isbn.is_valid, 0.9),
            Grammar(r"(?i)[A-Z0-9]{2,6}(?:-[A-Z0-9]{1,8}){1,3}", 0.0, 0.8),
        ),
    ),
    Rule(
        "uuid",
        "universally unique identifier",
        Role.PLAIN,
        headers=("uuid", "guid"),
        grammars=(
            Grammar(r"(?i)\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?",
                    0.95, 0.98),
        ),
    ),
    Rule(
        "digest",
        "digest or commit",
        Role.PLAIN,
        headers=("sha256", "sha1", "md5", "digest", "checksum", "commit", "etag"),
        grammars=(
            Grammar(r"(?i)(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})",
                    0.9, 0.97),
        ),
    ),
)  # fmt: skip
