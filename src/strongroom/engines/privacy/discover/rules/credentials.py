"""Secrets: what lets somebody in."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_SURE, _NAMED = 0.98, 0.99

# Prefixes that their issuers document, so that leaked keys can be found.
_TOKENS = (
    r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}",
    r"gl(?:pat|dt|rt|ptt|cbt|ft)-[A-Za-z0-9_-]{20,}",
    r"xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}",
    r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20,}",
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}",
    r"srk_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}",
    r"sk-(?:proj|ant|or|svcacct)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{40,}|hf_[A-Za-z0-9]{30,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}",
    r"(?:AC|SK)[0-9a-f]{32}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}",
    r"npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{40,}|dckr_pat_[A-Za-z0-9_-]{20,}",
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}",
    r"hv[sbr]\.[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{64}|dapi[a-f0-9]{32}|glsa_[A-Za-z0-9_]{32,}",
    r"ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}|AIza[A-Za-z0-9_-]{35}",
    r"\d{8,10}:AA[A-Za-z0-9_-]{33}|[MNO][A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,}",
)

RULES = (
    Rule(
        "password",
        "password or its hash",
        Role.SECRET,
        headers=("password", "passwd", "pwd", "passphrase", "password hash", "passwort",
                 "mot de passe", "contrasena", "user password", "pin", "pass hash", "kennwort",
                 "wachtwoord", "senha", "haslo", "mdp", "clave", "pw", "passwort hash",
                 "pin code hash", "security answer", "secret answer"),
        grammars=(
            # Modular crypt format: bcrypt, scrypt, Argon2, SHA-crypt, yescrypt, MD5-crypt.
            Grammar(r"\$(?:2[abxy]?|argon2(?:id?|d)|scrypt|1|5|6|7|y|gy|pbkdf2[a-z0-9-]*)\$.{20,200}",
                    0.97, _NAMED),
            # Django, Werkzeug and LDAP.
            Grammar(r"(?:pbkdf2|scrypt|argon2|bcrypt)[a-z0-9_:]*[:$].{30,200}"
                    r"|\{S?(?:SHA(?:256|384|512)?|MD5|CRYPT)\}[A-Za-z0-9+/=$.]{16,200}",
                    0.97, _NAMED),
        ),
        plausible=r"(?s)\S.{3,255}",
        header_confidence=0.9,
    ),
    Rule(
        "secret_key",
        "API key or token",
        Role.SECRET,
        headers=("api key", "apikey", "secret", "secret key", "access key", "access token",
                 "auth token", "token", "refresh token", "client secret", "session token",
                 "bearer token", "otp secret", "webhook secret", "totp secret", "session id",
                 "csrf token", "api token", "id token", "jwt", "auth key", "encryption key",
                 "license key", "recovery code", "backup code"),
        grammars=(
            Grammar(r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}", _SURE, _NAMED),
            *(Grammar(pattern, _SURE, _NAMED) for pattern in _TOKENS),
            # JSON web tokens (RFC 7519): the header and the claims begin with `{"`.
            Grammar(r"(?:Bearer )?eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
                    _SURE, _NAMED),
            Grammar(r"otpauth://[ht]otp/.+", _SURE, _NAMED),
        ),
        plausible=r"[A-Za-z0-9+/=_.~-]{16,512}",
        header_confidence=0.85,
    ),
    Rule(
        "private_key",
        "private key",
        Role.SECRET,
        headers=("private key", "ssh key", "rsa key", "pem", "signing key", "mnemonic",
                 "seed phrase", "wallet seed"),
        grammars=(
            Grammar(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*", 0.99, 0.99),
            Grammar(r"(?s)PuTTY-User-Key-File-\d:.*|AGE-SECRET-KEY-1[A-Z0-9]{50,}", 0.99, 0.99),
        ),
        plausible=r"(?s).{32,}",
        header_confidence=0.85,
    ),
    Rule(
        "connection_string",
        "address with a password in it",
        Role.SECRET,
        headers=("connection string", "database url", "dsn", "jdbc url", "db url", "conn str",
                 "connection url"),
        grammars=(
            Grammar(r"(?i)[a-z][a-z0-9+.-]{1,20}://[^\s:@/]{1,100}:[^\s@/]{1,200}@[^\s]+",
                    _SURE, _NAMED),
            Grammar(r"(?i).*(?:password|pwd|accountkey|sharedaccesskey|sig)=[^;&\s]{4,}.*",
                    0.95, _NAMED),
        ),
        plausible=r"(?i)[a-z][a-z0-9+:.-]{1,30}:.{4,}|.*=.*;.*",
        header_confidence=0.8,
    ),
)  # fmt: skip
