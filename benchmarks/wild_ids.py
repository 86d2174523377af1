"""Makers of columns of national numbers for `wild_tables`, valid by python-stdnum."""

from collections.abc import Callable
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from benchmarks.wild_personal import Maker, Scene, Value, digits


def valid(module: str, shape: str, *others: str) -> Maker:
    """Numbers of a shape, drawn until one is valid; `others` are ways to write the same."""

    def maker(of: Scene) -> Value:
        check: Any = import_module(f"stdnum.{module}")
        write: Callable[[str], str] = check.format if "format" in others else str

        def number() -> str:
            while True:
                born = date(1940, 1, 1) + timedelta(days=of.chance.randrange(24_000))
                text = digits(of, born.strftime(shape))
                if check.is_valid(text):
                    return write(text)

        return number

    return maker


NATIONAL: dict[str, Maker] = {
    "nl_bsn": valid("nl.bsn", "#########"),
    "pl_pesel": valid("pl.pesel", "%y%m%d#####"),
    "br_cpf": valid("br.cpf", "###########", "format"),
    "es_dni": valid("es.dni", "########@"),
    "de_tax_id": valid("de.idnr", "###########"),
    "fr_nir": valid("fr.nir", "1%y%m75###0####"),
    "uk_nhs_number": valid("gb.nhs", "##########", "format"),
    "fi_hetu": valid("fi.hetu", "%d%m%y-###@"),
    "se_personal_number": valid("se.personnummer", "%y%m%d-####"),
    "it_fiscal_code": valid("it.codicefiscale", "@@@@@@%y@%dH501@"),
    "ca_sin": valid("ca.sin", "#########", "format"),
    "tr_identity_number": valid("tr.tckimlik", "###########"),
    "ro_cnp": valid("ro.cnp", "1%y%m%d40###0"),
    "za_identity_number": valid("za.idnr", "%y%m%d####08#"),
    "dk_cpr": valid("dk.cpr", "%d%m%y-####"),
    "no_birth_number": valid("no.fodselsnummer", "%d%m%y#####"),
}
