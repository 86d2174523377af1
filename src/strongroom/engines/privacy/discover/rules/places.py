"""Where a person lives or is."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_PLACE = r"[\pL\pM][\pL\pM0-9 .,'\x{2019}/()-]*"

# Street words of the US Postal Service (Publication 28, appendix C1), and the common ones of
# other countries, as they stand in written addresses.
_STREET_EN = (
    "alley|annex|arcade|ave(?:nue)?|bayou|beach|bend|bluffs?|blvd|boulevard|bottom|branch|bridge"
    "|brooks?|burgs?|bypass|camp|canyon|cape|causeway|centers?|circles?|cir|cliffs?|close|club"
    "|commons?|corners?|course|courts?|ct|coves?|creek|crescent|crest|crossing|crossroads?|curve"
    "|dale|dam|divide|drives?|dr|estates?|expressway|extensions?|falls?|ferry|fields?|flats?"
    "|fords?|forest|forges?|forks?|fort|freeway|gardens?|gateway|glens?|greens?|groves?|harbors?"
    "|haven|heights|highway|hwy|hills?|hollow|inlet|islands?|isle|junctions?|keys?|knolls?|lakes?"
    "|landing|lanes?|ln|lights?|loaf|locks?|lodge|loop|mall|manors?|meadows?|mews|mills?"
    "|mission|motorway|mount|mountains?|neck|orchard|oval|overpass|parade|parks?|parkways?|pass"
    "|passage|path|pike|pines?|place|plains?|plaza|points?|ports?|prairie|radial|ramp|ranch"
    "|rapids?|rest|ridges?|river|roads?|rd|row|route|rue|run|shoals?|shores?|skyway|springs?"
    "|spurs?|squares?|sq|station|stravenue|stream|streets?|st|summit|terrace|throughway|trace"
    "|track|trafficway|trail|tunnel|turnpike|underpass|unions?|valleys?|viaduct|views?|villages?"
    "|ville|vista|walks?|wall|ways?|wells?|wharf|woods?|yard"
)
_ADDRESS_EN = (
    r"(?is)(?:(?:flat|studio|apt\.?|apartment|unit|suite|room)\s+[0-9a-z]+[,\s]+)?"
    r"(?:\d{1,6}[a-z]?(?:[-/]\d{1,4}[a-z]?)?,?\s+)?"
    r"(?:[\pL\pM0-9.'\x{2019}-]+\s+){1,5}(?:" + _STREET_EN + r")\b\.?"
    r"(?:\s+(?:n|s|e|w|ne|nw|se|sw|north|south|east|west)\b\.?)?"
    r"(?:[,\s]+(?:apt|apartment|suite|ste|unit|flat|room|floor|fl|#)\.?\s*[0-9a-z-]+)?"
    r"(?:[,\n].*)?"
)
_ADDRESS_TAIL_NUMBER = (
    r"(?is)[\pL\pM][\pL\pM0-9 .'\x{2019}/-]*"
    r"(?:stra(?:ß|ss)e|str\.?|weg|platz|gasse|allee|ring|damm|ufer|steig|stieg|hof|chaussee|markt"
    r"|straat|laan|plein|kade|gracht|dreef|singel|steeg|gatan|vägen|veien|gata|gade|vej|allé"
    r"|torget|stigen|gränden?|backen|torv|stræde|vænget|parken|vei|plass|gate|tunet|katu|tie"
    r"|kuja|polku|utca|út|útja|tér|köz|körút|ulica|ulice|třída|náměstí|nám\.|soka(?:ğı|k)|sok\."
    r"|caddesi|cad\.|bulvar\x{0131}|blv\.|улица|ул\.|проспект|переулок|вулиця)"
    r"\s*\d{1,5}\s?[a-z]?(?:\s?[-/]\s?\d{1,4}\s?[a-z]?)?(?:[,\n].*)?"
)
_ADDRESS_LEAD_WORD = (
    r"(?is)(?:\d{1,5}\s?(?:bis|ter|quater|[a-d])?\s?,?\s+)?"
    r"(?:rue|avenue|av\.?|boulevard|bd\.?|chemin|place|impasse|allée|quai|route|cours|passage"
    r"|square|sentier|calle|c/|avenida|avda\.?|plaza|paseo|camino|carrer|ronda|glorieta|pasaje"
    r"|via|viale|piazza|corso|largo|vicolo|strada|contrada|borgo|rua|travessa|praça|alameda"
    r"|rotonda|canale|stretto|incrocio|cañada|urbanización|vial|cuesta|callejón|ulica|ul\.|al\."
    r"|aleja|aleje|pl\.|plac|os\.|osiedle|str\.|bulevardul|calea|улица|ул\.|проспект|пр\.|jl\."
    r"|jalan|rodovia|estrada|largo|beco|ladeira|cl\.|pje\.|sector|núcleo)"
    r"\s+[\pL\pM0-9 .,'\x{2019}ºª°/-]+(?:\n.*)?"
)
_NUMBER_FIRST = (
    r"\d{1,6}[A-Za-z]?,?\s+\p{Lu}[\pL\pM.'\x{2019}-]+(?:\s+[\pL\pM0-9.'\x{2019}#-]+){0,6}"
)

# An "address" alone may be that of a machine or a mailbox; that of a person is a street.
_OF_PEOPLE = (
    "patient", "pt", "customer", "cust", "client", "employee", "emp", "staff", "member", "user",
    "guest", "student", "person", "contact", "owner", "tenant", "applicant", "subscriber",
    "recipient", "sender", "donor", "insured", "payee", "full", "current", "permanent",
)  # fmt: skip

RULES = (
    Rule(
        "street_address",
        "street address",
        Role.DIRECT,
        hipaa="B",
        headers=(
            "street address", "street", "home address", "postal address", "mailing address",
            "billing address", "shipping address", "residential address", "address line",
            "address line 1", "address 1", "street name", "house number street", "residence",
            "strasse", "anschrift", "adresse", "direccion", "calle", "indirizzo", "adres",
            "straat", "endereco", "rua", "domicile", "domicilio", "wohnort adresse", "str addr",
            "delivery address", "addr line", "home addr", "stras", "addr 1",
            *(f"{whose} {word}" for whose in _OF_PEOPLE for word in ("address", "addr")),
        ),
        weak_headers=("address", "addr", "adr", "location", "line1"),
        grammars=(
            Grammar(_ADDRESS_TAIL_NUMBER, 0.92, 0.98),
            # Italy, with the town's province: "Via Po, 1, 10124, Torino (TO)".
            Grammar(r"\pL[\pL'. -]{2,50}, ?\d{1,4}(?:[ /][^,]{1,24})?, ?\d{5},? \pL[\pL'. -]{1,50}"
                    r"(?: \([A-Z]{2}\))", 0.93, 0.98),
            Grammar(_ADDRESS_LEAD_WORD, 0.9, 0.98),
            Grammar(_ADDRESS_EN, 0.9, 0.98),
            Grammar(_NUMBER_FIRST, 0.0, 0.95),
        ),
        # Of several parts: an address of a machine is one word.
        plausible=r"(?s)[\pL\pM0-9#][\pL\pM0-9.,;:'\x{2019}/()#&ºª°-]*"
                  r"[ \n\r][\pL\pM0-9 .,;:'\x{2019}/()#&ºª°\n\r-]+",
        header_confidence=0.85,
    ),
    Rule(
        "city",
        "city or town",
        Role.QUASI,
        hipaa="B",
        headers=(
            "city", "town", "city name", "municipality", "village", "place of birth", "birthplace",
            "birth place", "birth city", "home town", "hometown", "ort", "stadt", "wohnort",
            "geburtsort", "ville", "commune", "lieu de naissance", "ciudad", "localidad",
            "municipio", "poblacion", "citta", "comune", "luogo di nascita", "stad", "plaats",
            "woonplaats", "cidade", "locality", "suburb", "town city", "miasto", "ort01", "kommun",
        ),
        weak_headers=("location", "place", "loc", "residence", "lieu", "cty"),
        plausible=_PLACE,
    ),
    Rule(
        "postcode",
        "postcode",
        Role.QUASI,
        hipaa="B",
        headers=(
            "postcode", "post code", "postal code", "zip", "zip code", "zipcode", "plz",
            "postleitzahl", "code postal", "cp", "codigo postal", "cap", "eircode", "pin code",
            "pincode", "cep", "zip 5", "zip 4", "zip5", "postal cd", "zip cd", "kod pocztowy",
            "pstlz", "postnr", "postnummer",
        ),
        weak_headers=("postal", "post", "pcode"),
        grammars=(
            # United Kingdom (Royal Mail), Canada, Ireland, the Netherlands, US ZIP+4.
            Grammar(r"(?i)[A-Z]{1,2}\d[A-Z\d]?\s?\d[ABD-HJLNP-UW-Z]{2}", 0.85, 0.98),
            Grammar(r"(?i)[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d",
                    0.85, 0.98),
            Grammar(r"\d{5}-\d{4}|[A-Z]{1,3}-\d{4,6}", 0.0, 0.97),  # order numbers are so too
            Grammar(r"[1-9]\d{3}\s[A-Z]{2}", 0.75, 0.97),
            # Brazil: five and three digits; hardly anything else is written so.
            Grammar(r"\d{5}-\d{3}", 0.6, 0.96),
            Grammar(r"\d{3,6}|\d{5}(?:-\d{4})?|\d{2}-\d{3}|\d{3}\s\d{2}|\d{5}-\d{3}|\d{4}-\d{3}",
                    0.0, 0.95),
        ),
        plausible=r"(?i)[A-Z0-9][A-Z0-9 -]{2,9}",
    ),
    Rule(
        "county",
        "county or district",
        Role.QUASI,
        hipaa="B",
        headers=("county", "landkreis", "district", "departement", "provincia", "precinct"),
        plausible=_PLACE,
        header_confidence=0.7,
    ),
    Rule(
        "state",
        "state or region",
        Role.QUASI,
        headers=("us state", "state province", "state code", "bundesland", "home state"),
        plausible=_PLACE,
        header_confidence=0.6,
    ),
    Rule(
        "country",
        "country",
        Role.QUASI,
        headers=("country", "country code", "country name", "land", "pays", "pais", "paese"),
        plausible=_PLACE,
        header_confidence=0.7,
    ),
    Rule(
        "coordinates",
        "geographic position",
        Role.DIRECT,
        hipaa="B",
        headers=("coordinates", "geo point", "lat lon", "lat long", "latlng", "geolocation", "gps"),
        grammars=(
            Grammar(r"[(\[]?-?\d{1,2}\.\d{3,}(?:\s?[,;/]\s?|\s)-?\d{1,3}\.\d{3,}[)\]]?", 0.9, 0.98),
            Grammar(r"(?i)POINT ?\(-?\d{1,3}\.\d+ -?\d{1,2}\.\d+\)|\d{1,2}°\s?\d{1,2}['\x{2032}].*"
                    r"[NS],? ?\d{1,3}°\s?\d{1,2}['\x{2032}].*[EWO]", 0.93, 0.98),
        ),
    ),
)  # fmt: skip
