"""Makers of columns that are nobody's, with the headers they come with, for `wild_tables`.

Each is something that was, or easily is, taken for personal data.
"""

# A table of what each is called and made of.
# ruff: noqa: D103, E501 # named after what they make; one line, one kind

import string
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from stdnum import ean, luhn

from benchmarks import wild_words as words
from benchmarks.wild_personal import Maker, Scene, Value, digits, one_of


def shaped(*shapes: str) -> Maker:
    """Codes of one shape."""

    def maker(of: Scene) -> Value:
        shape = of.half(shapes)
        return lambda: digits(of, shape)

    return maker


def numbers(*ways: tuple[str, float, float]) -> Maker:
    """Measurements: how they are written, their mean and their spread."""

    def maker(of: Scene) -> Value:
        way, mean, spread = of.half(ways)
        return lambda: way.format(of.chance.gauss(mean, spread))

    return maker


def whole(*ranges: tuple[int, int]) -> Maker:
    """Whole numbers of a range."""

    def maker(of: Scene) -> Value:
        low, high = of.half(ranges)
        return lambda: str(of.chance.randrange(low, high))

    return maker


def running(of: Scene) -> Value:
    """Numbers that run on."""
    at = of.half([10_000, 4_500_000_000, 900_000_000, 70_000_000])
    step = of.chance.choice([1, 1, 3, 7])

    def following() -> str:
        nonlocal at
        at += of.chance.randrange(1, step + 1)
        return str(at)

    return following


def epoch(of: Scene) -> Value:
    unit = of.half([1, 1_000, 1_000_000, 1])
    return lambda: str(of.chance.randrange(1_500_000_000, 1_780_000_000) * unit)


def article(of: Scene) -> Value:
    def number() -> str:
        body = of.half(["400", "87", "50", "84", "360", "590"]) + digits(of, "#########")
        body = (body + "0" * 12)[:12]
        return f"{body}{ean.calc_check_digit(body)}"

    return of.half([number, number, lambda: "0" + number()])


def moment(of: Scene) -> Value:
    """Dates and times of events in a few years."""
    ways = ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%dT%H:%M:%SZ", "%m/%d/%Y %H:%M", "%Y%m%d", "%d/%m/%y",
            "%Y-%m-%d %H:%M:%S.000", "%b %Y"]  # fmt: skip
    way = of.half(ways)
    start = datetime(of.chance.choice([2009, 2016, 2021]), 1, 1, tzinfo=UTC)
    days = of.chance.choice([300, 1_400, 3_000])
    return lambda: (start + timedelta(minutes=of.chance.randrange(days * 1_440))).strftime(way)


def expiry(of: Scene) -> Value:
    way = of.half(["%Y-%m-%d", "%m/%y", "%d.%m.%Y", "%Y-%m"])
    return lambda: (date(2025, 1, 1) + timedelta(days=of.chance.randrange(4_000))).strftime(way)


def version(of: Scene) -> Value:
    chance = of.chance
    return of.half(
        [
            lambda: f"{chance.randrange(1, 9)}.{chance.randrange(20)}.{chance.randrange(60)}",
            lambda: (
                f"{chance.randrange(1, 9)}.{chance.randrange(9)}.{chance.randrange(40)}.{chance.randrange(255)}"
            ),
            lambda: (
                f"{chance.randrange(1, 4)}.{chance.randrange(12)}.{chance.randrange(12)}.{chance.randrange(9)}"
            ),
            lambda: (
                f"v{chance.randrange(1, 9)}.{chance.randrange(20)}.{chance.randrange(9)}-rc{chance.randrange(4)}"
            ),
            lambda: (
                f"{chance.choice([10, 6])}.0.{chance.randrange(10_000, 22_700)}.{chance.randrange(4_000)}"
            ),
            lambda: f"2.{chance.randrange(3)}.{chance.randrange(6)}.{chance.randrange(30)}",
        ]
    )


def product(of: Scene) -> Value:
    chance = of.chance
    adjectives, things = words.ADJECTIVES, words.THINGS
    return of.half(
        [
            lambda: f"{chance.choice(adjectives).title()} {chance.choice(things).title()}",
            lambda: f"{chance.choice(words.MAKERS)} {chance.choice(things)}",
            lambda: f"{chance.choice(adjectives)}-{chance.choice(things)}",
            lambda: (
                f"{chance.choice(things).title()} {chance.choice('XSRZ')}{chance.randrange(9)}00"
            ),
        ]
    )


def hashed(of: Scene) -> Value:
    size = of.half([32, 40, 64, 12, 16, 8])
    return lambda: digits(of, "%" * size)


def identifier(of: Scene) -> Value:
    return lambda: str(uuid.UUID(int=of.chance.getrandbits(128), version=4))


def path(of: Scene) -> Value:
    chance = of.chance
    return of.half(
        [
            lambda: f"/var/data/{chance.choice(words.THINGS)}/{chance.randrange(999)}.parquet",
            lambda: f"img_{chance.randrange(10_000):05}.jpg",
            lambda: (
                f"s3://bucket-{chance.randrange(9)}/{chance.choice(words.ADJECTIVES)}/part-{chance.randrange(99)}"
            ),
            lambda: f"{chance.choice(words.THINGS)}_{chance.randrange(2_000, 2_030)}.csv",
        ]
    )


def machine_place(of: Scene) -> Value:
    """Coordinates of machines in a plane: millimetres, not degrees."""
    way = of.half(["{:.1f}, {:.1f}", "{:.0f}x{:.0f}", "X{:.2f} Y{:.2f}", "{:.0f};{:.0f}"])
    return lambda: way.format(of.chance.uniform(0, 1_800), of.chance.uniform(0, 1_000))


def serial(of: Scene) -> Value:
    shape = of.half(
        ["SN##########", "@@##%%%%##", "C02@@###@@@@", "####-####-####-####", "@#@#@#@#"]
    )
    return lambda: digits(of, shape).upper()


def with_check(of: Scene) -> Value:
    """Meter numbers with Luhn's check digit at their end, as many keys have."""
    size = of.half([7, 10, 12, 8])

    def number() -> str:
        body = digits(of, "#" * size)
        return f"{body}{luhn.calc_check_digit(body)}"

    return number


def scored(of: Scene) -> Value:
    grades = of.half(
        [["A+", "A", "A-", "B+", "B", "B-", "C"], ["AAA", "AA+", "BBB-", "BB", "A-"],
         ["A+", "B-", "O", "U", "E"], ["A+", "A-", "B+", "B-"]]
    )  # fmt: skip
    return lambda: of.chance.choice(grades)


def measured_text(of: Scene) -> Value:
    unit = of.half(["kg", "ml", "°C", "kWh", "rpm", "mmHg"])
    return lambda: f"{of.chance.uniform(1, 250):.1f} {unit}"


def sentence(of: Scene) -> Value:
    """Remarks on things, of which no person is part."""
    chance = of.chance
    ways = of.half(
        [
            "The {0} {1} was replaced under warranty after the hinge came loose.",
            "Please restock {0} {1}s before the sale begins, the shelf is empty again.",
            "{1} returned: {0} finish scratched, box missing, refund pending.",
            "Batch of {0} {1}s passed the second inspection without remarks.",
        ]
    )
    return lambda: ways.format(chance.choice(words.ADJECTIVES), chance.choice(words.THINGS))


def letters(of: Scene) -> Value:
    size = of.half([3, 5, 6, 4])
    return lambda: "".join(of.chance.choice(string.ascii_uppercase) for _ in range(size))


def share(of: Scene) -> Value:
    way = of.half(["{:.1%}", "{:.4f}", "{:.2f} %", "{:.3f}"])
    return lambda: way.format(of.chance.random())


Trap = tuple[str, Maker]
Makes = Callable[[Scene], Value]
# Headers by hand: tune before the bar, hold after it.
TRAPS: tuple[Trap, ...] = (
    ("order_number Bestellnr num_commande OrdNo|purchase_order nr_zamowienia PO_NUM numero_pedido",
     shaped("#####-####", "ORD-######", "##########", "PO#######", "###-#######-#######")),
    ("ean gtin BARCODE code_barres|Artikelnummer upc cod_barras strekkode", article),
    ("created_ts epoch_s event_time_unix|ts unixtime t_stamp", epoch),
    ("score punkte rating_raw|points puntuacion note_finale", whole((0, 100), (300, 850), (0, 10_000))),
    ("model_year baujahr yr|annee_modele vintage built", whole((1985, 2026), (1950, 2024))),
    ("icon_code status_code errcode|zone_code fehlercode cod", shaped("@##.#", "@@##", "@##", "E###", "##.#")),
    ("fw_ver firmware sw_release|version os_build driver_version", version),
    ("updated_at order_date liefertermin date_achat|shipped last_login fecha_envio zuletzt_geaendert",
     moment),
    ("expires warranty_until|valid_to date_peremption", expiry),
    ("sku article_code part_no|item_code Materialnummer ref", shaped("@@@-###-@@", "@@####", "###.###.##", "#######-#", "@#####@")),
    ("sha checksum etag|digest_hex commit hash", hashed),
    ("row_uuid trace_id|guid correlation_id", identifier),
    ("price preis montant|unit_cost precio cena", numbers(("{:.2f}", 50, 20), ("{:,.2f} €", 1500, 400), ("${:.2f}", 80, 20), ("{:.2f}", 9, 3))),
    ("pct_full anteil conversion|share_of_total taux ratio", share),
    ("temp_c druck_bar voltage|humidity gewicht_kg torque", numbers(("{:.1f}", 21, 4), ("{:.3f}", 230, 3), ("{:.2f}", 60, 9), ("{:.1f}", 98, 5))),
    ("reading messwert|valeur_mesuree lectura", measured_text),
    ("product_name artikel designation|item producto bezeichnung", product),
    ("brand marke|manufacturer fabricant", one_of(words.MAKERS)),
    ("path filename|image_file object_key", path),
    ("xy pos_mm|pick_position bbox", machine_place),
    ("serial_no geraet_sn|asset_tag num_serie", serial),
    ("meter_no zaehler|installation_no contador", with_check),
    ("grade rating|credit_rating bonitaet", scored),
    ("remark_machine notes|bemerkung comment_text", sentence),
    ("station_code ticker|airport symbol", letters),
    ("row_id lfd_nr|seq idx", running),
    ("color farbe|colour couleur", one_of(["white", "black", "red", "navy", "olive"], ["White", "Black", "Asian teak", "Brown"])),
    ("state zustand|machine_state etat", one_of(["running", "idle", "fault", "off"], ["open", "closed", "pending", "new"])),
    ("race event|race_name prueba", one_of(["100m sprint", "marathon", "relay"], ["Ironman", "Derby", "Grand Prix"])),
    ("address register|mem_address hex_addr", shaped("0x%%%%%%%%", "0x%%%%", "%%%%%%%%h", "0x%%%%%%%%%%%%")),
    ("token_count email_count phone_calls|n_addresses name_length password_age_days", whole((0, 40), (0, 300), (1, 9_000))),
    ("email_opened has_phone is_ssn_valid|iban_ok sms_consent postcode_known", one_of(["true", "false"], ["0", "1"], ["Y", "N"], ["yes", "no"])),
    ("ip_version mac_os|card_type phone_model", one_of(["4", "6"], ["visa", "mastercard", "amex"], ["Pixel 8", "iPhone 15", "Galaxy S24"], ["13.2", "14.1", "15.0"])),
    ("cell position|pan slot", shaped("@##", "@#", "-##.#", "##")),
    ("zip_file email_template|address_format name_rule", one_of(["a.zip", "b.zip", "logs.zip"], ["welcome", "reset", "invoice"])),
    ("phone_price city_population|age_of_device street_width_m", whole((2, 15), (10_000, 900_000), (1, 30), (100, 999))),
    ("lab_value creatinine|ldl haemoglobin", numbers(("{:.2f}", 1.1, .3), ("{:.0f}", 120, 30), ("{:.1f}", 13.5, 1.5))),
    ("bib track_no|seat Startnummer", whole((1, 999), (1, 60))),
    ("lat_ms latency|lon_drift long_name_len", numbers(("{:.1f}", 40, 9), ("{:.4f}", 12, 2))),
    ("tel_aviv_index geschlossen|mailing_list_size agent_version", numbers(("{:.0f}", 500, 90), ("{:.1f}", 7, 1))),
    ("duration dauer|lap_time elapsed", shaped("0#:1#:2#", "#:##", "1##.##", "PT#H")),
    ("isbn book_no|doi issn", shaped("978-#-##-######-#", "10.####/abc.####", "####-####", "978##########")),
    ("tracking sendungsnr|parcel_no awb", shaped("1Z######%#########", "JJD##############", "##############", "###-########", "##########")),
    ("amount_minor saldo|balance total", whole((100, 900_000), (-5_000, 70_000))),
    ("account_type kontoart|acct_class plan", one_of(["checking", "savings"], ["basic", "pro", "free"])),
    ("invoice rechnung_nr|factura bill_no", shaped("INV-####-#####", "2024######", "RE##-#####", "#########", "### ### ###")),
    ("cas_no part_id|chem_id lot", shaped("##-##-#", "#####-##-#", "L######@", "@###@##")),
)  # fmt: skip
