"""Devices, wallets, and forms that look personal but are not."""

from stdnum import bitcoin, ean, imei, isbn, luhn

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

RULES = (
    Rule(
        "device_id",
        "number of a device",
        Role.DIRECT,
        hipaa="M",
        headers=("device id", "imei", "imei number", "serial number", "device serial", "idfa",
                 "gaid", "advertising id", "android id", "udid", "device identifier", "cookie id",
                 "esn", "meid", "device uuid", "imsi", "iccid", "sim number",
                 "geratenummer", "seriennummer", "numero de serie", "implant serial", "device sn",
                 "pacemaker serial", "installation id"),
        grammars=(
            Grammar(r"\d{15}|\d{2}-\d{6}-\d{6}-\d", 0.85, 0.98, imei.is_valid, 0.9),
            # SIM card (ITU-T E.118): begins with 89, ends with a Luhn digit.
            Grammar(r"89\d{17,18}", 0.93, 0.99, luhn.is_valid, 0.9),
            Grammar(r"\d{14,16}", 0.0, 0.9),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9:._-]{5,63}",
    ),
    Rule(
        "wallet_address",
        "address of a crypto wallet",
        Role.DIRECT,
        hipaa="J",
        headers=("wallet", "wallet address", "bitcoin address", "btc address", "eth address",
                 "crypto wallet", "btc wallet", "ethereum address", "crypto address"),
        grammars=(
            Grammar(r"[13][1-9A-HJ-NP-Za-km-z]{25,39}|(?i)bc1[a-z0-9]{11,71}", 0.97, 0.99,
                    bitcoin.is_valid),
            Grammar(r"0x[0-9a-fA-F]{40}", 0.97, 0.99),
            Grammar(r"r[1-9A-HJ-NP-Za-km-z]{24,34}|T[1-9A-HJ-NP-Za-km-z]{33}"
                    r"|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}", 0.6, 0.95, None, 0.9),
        ),
        plausible=r"[A-Za-z0-9:]{25,110}",
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
