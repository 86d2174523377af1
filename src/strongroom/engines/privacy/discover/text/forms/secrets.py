"""Credentials, and wallets of digital money."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

from strongroom.engines.privacy.discover.text.forms.form import Form

_KEY_PREFIXES = (
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}", r"gh[pousr]_[A-Za-z0-9]{16,}",
    r"github_pat_[A-Za-z0-9_]{20,}", r"glpat-[A-Za-z0-9_-]{16,}",
    r"xox[abeprs]-[A-Za-z0-9-]{8,}", r"(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,}",
    r"sk-(?:ant-|proj-)?[A-Za-z0-9_-]{16,}", r"AIza[A-Za-z0-9_-]{30,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[A-Za-z0-9_-]{30,}", r"hf_[A-Za-z0-9]{20,}", r"dop_v1_[a-f0-9]{32,}",
    r"ya29\.[A-Za-z0-9_-]{20,}", r"srk_[A-Za-z0-9]+_[A-Za-z0-9_-]{16,}",
    r"key-[a-f0-9]{32}", r"SK[a-f0-9]{32}", r"AC[a-f0-9]{32}", r"hvs\.[A-Za-z0-9_-]{20,}",
)  # fmt: skip

FORMS = (
    # The body cannot cross another beginning, or many of them would be read again and again.
    Form("private_key", r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:(?:[A-Za-z0-9+/=\s:,.]|[A-Za-z]-[A-Za-z0-9])*-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)?", 0.99),
    Form("secret_key", r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]{2,}){1,2}(?:\.{3})?", 0.98),
    Form("secret_key", r"\beyJ[A-Za-z0-9_-]{3,}(?:\.{3})?", 0.85),
    Form("secret_key", r"\b(?:" + "|".join(_KEY_PREFIXES) + ")", 0.98),
    Form("password", r"\$(?:2[abxy]?|argon2(?:id?|d)|scrypt|5|6|pbkdf2[a-z0-9-]*)\$[A-Za-z0-9./+=,$-]{20,}", 0.97),
    Form("wallet_address", r"\b(?:bc1[a-z0-9]{20,}|0x[a-fA-F0-9]{40}|[13][a-km-zA-HJ-NP-Z1-9]{25,}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}|[LM][a-km-zA-HJ-NP-Z1-9]{33}|r[1-9A-HJ-NP-Za-km-z]{24,}|T[1-9A-HJ-NP-Za-km-z]{33})\b", 0.9,
         lambda text: text.startswith(("0x", "bc1")) or (any(map(str.islower, text)) and any(map(str.isupper, text)) and any(map(str.isdigit, text)))),
)  # fmt: skip
