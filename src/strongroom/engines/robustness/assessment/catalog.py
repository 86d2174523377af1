"""All tests that an assessment can run, in the order of the threats."""

from strongroom.engines.robustness.assessment import (
    evasion_tests,
    guarding_tests,
    leaking_tests,
    membership_tests,
    poisoning_tests,
    telling_tests,
)
from strongroom.engines.robustness.assessment.listing import Listed


def tests() -> tuple[Listed, ...]:
    """The tests."""
    return (
        *poisoning_tests.listed(),
        *membership_tests.listed(),
        *telling_tests.listed(),
        *evasion_tests.listed(),
        *guarding_tests.listed(),
        *leaking_tests.listed(),
    )
