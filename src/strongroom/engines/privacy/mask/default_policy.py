"""The policy of masked views where a dataset has none of its own."""

from functools import lru_cache

from strongroom.engines.privacy.mask.policy import MaskPolicy
from strongroom.engines.privacy.mask.policy_file import parse_policy

DEFAULT_POLICY = """\
# Identities go, what a model can learn from stays. Equal values stay equal where that is needed
# to join or to count (hash), within one dataset and purpose. Words stay where many rows hold
# them (keep_common): a rare one may be a name that nobody recognised, or single a person out.

[types]
person_name = "redact"
given_name = "redact"
family_name = "redact"
email = "hash"
username = "hash"
phone = { method = "partial", keep_last = 2 }
street_address = "redact"
postcode = { method = "generalize", prefix = 3 }
city = "redact"
county = "redact"
coordinates = "redact"
date_of_birth = "generalize"
date = "generalize"
year_of_birth = { method = "generalize", bin_width = 5 }
age = { method = "generalize", bin_width = 5, top = 90 }
income = { method = "generalize", bin_width = 10000 }
medical_record_number = "hash"
health_insurance_number = "hash"
customer_number = "hash"
device_id = "hash"
ip_address = "hash"
mac_address = "hash"
payment_card = { method = "partial", keep_last = 4 }
iban = { method = "partial", keep_first = 2 }
ethnicity = "redact"
religion = "redact"
political_opinion = "redact"
union_membership = "redact"
sexual_orientation = "redact"
biometric = "drop"
health_condition = "keep_common"    # what clinical models are about; no name stands beside it
gender = "keep_common"
marital_status = "keep_common"
nationality = "redact"
occupation = "keep_common"
country = "keep_common"
state = "keep_common"

[roles]
direct = "redact"
quasi = "redact"
special = "redact"
secret = "drop"

[shapes]                            # columns in which no type was recognised
empty = "keep"
constant = "redact"                 # teaches nothing, and may be the one person in the table
boolean = "keep"
number = "keep"
category = "keep_common"
date = "generalize"
short_text = "hash"
unique_integer = "hash"             # a key of the rows
unique_text = "redact"              # may name people
free_text = "redact"                # may say anything; `mask_spans` leaves what the finder misses
binary = "drop"
nested = "drop"
"""


@lru_cache(maxsize=1)
def default_policy() -> MaskPolicy:
    """The default policy, parsed."""
    return parse_policy(DEFAULT_POLICY)
