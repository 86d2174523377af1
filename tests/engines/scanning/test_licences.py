"""Licences: what metadata tells, and what a policy says to an SPDX expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.scanning.licences import licence_of, policy, read_metadata, spdx
from strongroom.errors import ValidationError


@pytest.mark.parametrize(
    ("expression", "words", "classifiers", "expected"),
    [
        ("MIT", "Apache", [], "MIT"),
        ("mit or apache-2.0", "", [], "MIT OR Apache-2.0"),
        ("", "", ["License :: OSI Approved :: MIT License"], "MIT"),
        ("", "Apache License, Version 2.0", [], "Apache-2.0"),
        ("", "BSD-3-Clause", [], "BSD-3-Clause"),
        ("", "LGPLv3+", [], "LGPL-3.0-or-later"),
        ("", "BSD", ["License :: OSI Approved :: BSD License"], ""),  # which of them?
        ("", "", ["License :: OSI Approved :: MIT License",
                  "License :: OSI Approved :: Apache Software License"], ""),  # and, or or?
        ("", "UNKNOWN", [], ""),
        ("", "Copyright (c) 2020 somebody, all rights reserved", [], ""),
        ("not a licence", "", [], ""),
    ],
)  # fmt: skip
def test_what_metadata_tells(
    expression: str, words: str, classifiers: list[str], expected: str
) -> None:
    assert licence_of(expression, words, classifiers) == expected


def test_metadata_of_a_distribution() -> None:
    data = b"Metadata-Version: 2.4\nName: Our_Lib\nLicense-Expression: MIT\n\nLicense: GPL\n"
    assert read_metadata(data) == ("our-lib", "MIT")
    assert read_metadata(b"\xff\xfe\x00") == ("", "")


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("MIT", "allowed"),
        ("BSD-3-Clause", "denied"),
        ("MIT AND GPL-3.0-only", "denied"),
        ("MIT OR GPL-3.0-only", "allowed"),
        ("GPL-3.0-only OR MIT", "allowed"),
        ("MIT OR BSD-3-Clause AND GPL-3.0-only", "allowed"),  # AND binds closer
        ("(MIT OR BSD-3-Clause) AND GPL-3.0-only", "denied"),
        ("Apache-2.0 WITH LLVM-exception", "allowed"),
        ("GPL-3.0-only WITH GCC-exception-3.1", "denied"),
        ("", "unknown"),
    ],
)
def test_a_policy_with_a_list_of_allowed(expression: str, answer: str) -> None:
    assert policy("MIT, apache-2.0", "").judge(expression) == answer


def test_a_policy_that_only_denies() -> None:
    denies = policy("", "AGPL-3.0-only")
    assert denies.judge("MIT") == "allowed"
    assert denies.judge("AGPL-3.0-only") == "denied"
    assert denies.judge("AGPL-3.0-only OR MIT") == "allowed"
    assert policy("AGPL-3.0-only", "AGPL-3.0-only").judge("AGPL-3.0-only") == "denied"


@pytest.mark.parametrize("listed", ["GPL", "MIT AND Apache-2.0", "MIT; Apache-2.0", "x" * 600])
def test_a_policy_of_unknown_licences_is_refused(listed: str) -> None:
    with pytest.raises(ValidationError, match="SPDX"):
        policy(listed)


@given(st.text("()MITANDORWITH- 0", max_size=60))
def test_no_expression_breaks_the_policy(text: str) -> None:
    one = policy("MIT")
    assert one.judge(text) in ("allowed", "denied", "unknown")
    if (canonical := spdx(text)) and "OR" not in canonical and "MIT" not in canonical:
        assert one.judge(canonical) == "denied"
    assert one.judge("(" * 200 + "MIT" + ")" * 200) == "denied"  # deeper than any honest one
