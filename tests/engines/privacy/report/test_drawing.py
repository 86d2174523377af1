"""Pictures: well-formed, without script or style, whatever the names are."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.report import drawing
from strongroom.engines.privacy.report.drawing import Bar

HOSTILE = "</text><script>alert(1)</script><svg onload=alert(1) a='\"&"

# XML cannot hold these characters; names are cleaned of them before they are drawn.
names = st.text(
    alphabet=st.characters(blacklist_categories=("Cc", "Cs", "Cn", "Co")), max_size=80
) | st.just(HOSTILE)
bars = st.builds(
    Bar, names, st.floats(0, 1), st.sampled_from([*(role.value for role in Role), HOSTILE]), names
)


def parsed(svg: str) -> ET.Element:
    root = ET.fromstring(svg)  # noqa: S314 # our own drawing
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        assert tag in {
            "svg", "g", "title", "rect", "circle", "polygon", "polyline", "line", "text", "use",
            "defs", "pattern", "path", "symbol",
        }  # fmt: skip
        for name in element.attrib:
            assert name != "style"
            assert not name.startswith("on")
    return root


@settings(deadline=None, max_examples=50)
@given(st.lists(bars, max_size=60), names)
def test_bars_are_well_formed_and_escape_all(shown: list[Bar], name: str) -> None:
    parsed(drawing.columns_picture(shown))
    parsed(drawing.inside_bars([(name, shown)]))


kinds = st.tuples(names, st.sampled_from(["direct", "quasi"]))


@settings(deadline=None, max_examples=50)
@given(st.lists(names, max_size=12), st.lists(kinds, max_size=12))
def test_a_map_is_well_formed(files: list[str], types: list[tuple[str, str]]) -> None:
    counts = {(row, at): 2 for row in range(len(files)) for at in range(len(types))}
    parsed(drawing.heat_map(files, types, counts))


@pytest.mark.parametrize(
    ("share", "alone"), [(0.0, 0), (0.0001, 1), (0.37, 37), (0.371, 38), (1.0, 100)]
)
def test_a_hundred_people_and_no_risk_drawn_as_none(share: float, alone: int) -> None:
    root = parsed(drawing.people(share, "label"))
    classes = [element.attrib["class"] for element in root]
    assert len(classes) == 100
    assert classes.count("alone") == alone


def test_every_role_has_a_sign_and_an_ink_of_its_own() -> None:
    signs = {re.sub(r'class="[^"]*"', "", str(drawing.sign(role.value))) for role in Role}
    assert len(signs) == len(Role)
    inks = str(drawing.inks())
    parsed(inks)
    assert all(f'id="ink-{role.value}"' in inks for role in Role)
    patterns = re.findall(r"<pattern.*?</pattern>", inks)
    marked = {re.sub(r'id="[^"]*"|class="tone [a-z]*"', "", pattern) for pattern in patterns}
    assert len(marked) == 4  # direct and plain have no lines: one is full, the other pale


def test_the_curve_marks_what_the_sample_promises() -> None:
    svg = drawing.miss_curve(2_000, 0.0023, 0.01)
    parsed(svg)
    assert "0.23 % of the rows: missed with 1 %" in svg


def test_a_meter_stays_within_its_rail() -> None:
    for share in (-1.0, 0.0, 0.5, 7.0):
        widths = [float(r.attrib["width"]) for r in parsed(drawing.meter(share, "direct"))]
        assert all(0 <= width <= 64 for width in widths)
