"""Types that only running text names: in a column they would be found as something else."""

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.rule import Rule

RULES = (
    Rule("organization", "name of an organisation", Role.QUASI),
    Rule("case_number", "number of a case, claim or specimen", Role.DIRECT, hipaa="R"),
    Rule("professional_licence", "number of a professional licence", Role.DIRECT, hipaa="K"),
)
