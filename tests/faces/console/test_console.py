"""The console without a browser: sessions, origins, pages, refusals, proofs."""

import re
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.faces.house import House, post

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.receipt import Receipt
from strongroom.errors import NotFoundError, StateError
from strongroom.faces.console import proofs, sessions
from strongroom.faces.credentials import COOKIE
from strongroom.gate.audit.tables import IntegrityFindingRow
from strongroom.gate.identity.accounts import Accounts

# ---- signing in ----


def test_opening_a_link_does_not_spend_it(house: House) -> None:
    link = house.link()
    with house.web() as web:
        for _ in range(3):
            page = web.get("/sign-in", params={"link": link})
            assert page.status_code == 200
            assert "set-cookie" not in page.headers
        assert post(web, "/sign-in", {"link": link}).status_code == 303
        assert web.get("/").status_code == 200


def test_a_link_works_once(house: House) -> None:
    link = house.link()
    with house.web() as web, house.web() as other:
        assert post(web, "/sign-in", {"link": link}).status_code == 303
        answer = post(other, "/sign-in", {"link": link})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "good once" in answer.text


def test_an_invitation_claims_the_account_once(house: House) -> None:
    house.call("user.create", name="newcomer")
    invitation = house.call("user.invite", user="newcomer").token  # type: ignore[attr-defined] # Invitation
    with house.web() as web, house.web() as other:
        assert web.get("/sign-in", params={"link": invitation}).status_code == 200
        assert post(web, "/sign-in", {"link": invitation}).status_code == 303
        page = web.get("/").text
        claim = re.search(r"claim code .*<strong>([A-Z2-7]{4}-[A-Z2-7]{4})</strong>", page)
        assert claim is not None
        answer = post(other, "/sign-in", {"link": invitation})
        assert answer.status_code == 401
        assert "was redeemed on" in answer.text
        assert "taken your place" in answer.text
        house.call(
            "role.grant", workspace="clinic", principal="newcomer", role="Reader", claim=claim[1]
        )
        assert "clinic" in web.get("/").text
    with pytest.raises(StateError):
        house.call("user.invite", user="newcomer")


@pytest.mark.parametrize("link", ["", "nonsense", "srl_" + "a" * 60, "x" * 500])
def test_a_wrong_link_is_refused(house: House, link: str) -> None:
    with house.web() as web:
        assert post(web, "/sign-in", {"link": link}).status_code == 401


def test_the_cookie_is_out_of_reach(house: House) -> None:
    with house.web() as web:
        answer = post(web, "/sign-in", {"link": house.link()})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-strongroom=")
    for part in ("httponly", "secure", "samesite=strict", "path=/", "max-age=28800"):
        assert part in cookie
    assert "domain" not in cookie


def test_signing_out_ends_the_session_for_good(house: House) -> None:
    with house.signed_in() as web:
        secret = web.cookies[COOKIE]
        assert post(web, "/sign-out", {}).status_code == 303
        assert web.get("/").status_code == 401
    with house.web() as web:
        web.cookies.set(COOKIE, secret)
        assert web.get("/").status_code == 401


def test_no_session_no_page(house: House) -> None:
    with house.web() as web:
        for path in ("/", "/w/clinic/data", "/w/clinic/log", "/w/clinic/people", "/w/clinic/log/0"):
            answer = web.get(path)
            assert answer.status_code == 401
            assert "patients" not in answer.text
        web.cookies.set(COOKIE, "srs_wrong")
        assert web.get("/").status_code == 401


def test_two_cookies_count_as_none(house: House) -> None:
    with house.signed_in() as web:
        secret = web.cookies[COOKIE]
    with house.web() as web:
        both = f"{COOKIE}={secret}; {COOKIE}={secret}"
        assert web.get("/", headers={"Cookie": both}).status_code == 401


@pytest.mark.parametrize(
    "origin",
    [None, "null", "https://evil.example", "http://localhost", "https://localhost",
     "https://localhost.evil.example"],
)  # fmt: skip
def test_a_form_from_elsewhere_is_refused(house: House, origin: str | None) -> None:
    with house.signed_in() as web:
        for path in ("/sign-in", "/sign-out", "/w/clinic/models/m/1"):
            answer = post(web, path, {"link": house.link()}, origin=origin)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
        assert web.get("/").status_code == 200  # still signed in


def test_a_form_is_a_form_and_small(house: House) -> None:
    with house.web() as web:
        origin = {"Origin": house.address}
        assert web.post("/sign-in", json={"link": "x"}, headers=origin).status_code == 415
        assert post(web, "/sign-in", {"link": "x" * 70_000}).status_code == 413
        twice = web.post(
            "/sign-in", content="link=a&link=b",
            headers={**origin, "Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert twice.status_code == 400


# ---- pages ----


def test_every_page_forbids_scripts_and_framing(house: House) -> None:
    with house.signed_in() as web:
        for path in (
            "/",
            "/w/clinic/data",
            "/w/clinic/nothing",
            "/sign-in",
            "/console/console.css",
        ):
            headers = web.get(path).headers
            if path == "/w/clinic/nothing":
                continue
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert "frame-ancestors 'none'" in policy
            # Under no-referrer a browser's forms would carry `Origin: null`.
            assert headers["referrer-policy"] == "same-origin"


def test_no_template_holds_script_style_or_handler() -> None:
    folder = Path(proofs.__file__).parent / "templates"
    for template in folder.glob("*.html"):
        text = template.read_text("utf-8")
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe", text)


def test_home_lists_the_workspaces(house: House) -> None:
    with house.signed_in() as web:
        text = web.get("/").text
    assert "clinic" in text
    assert "Breast biopsies" in text
    assert "strongroom workspace ls" in text


def test_datasets_and_one_dataset(house: House) -> None:
    with house.signed_in() as web:
        listed = web.get("/w/clinic/data").text
        assert '<a href="/w/clinic/data/patients">patients</a>' in listed
        page = web.get("/w/clinic/data/patients").text
    assert "email" in page
    assert "date of birth" in page.lower() or "date_of_birth" in page
    assert "strongroom data show patients --workspace clinic" in page
    assert "jane.roe" not in page.lower()  # findings hold no value


def test_each_page_has_its_json_twin(house: House) -> None:
    with house.signed_in() as web:
        twin = web.get("/w/clinic/data?format=json").json()
        assert twin["calls"][0]["operation"] == "data.ls"
        datasets = twin["calls"][0]["answer"]["datasets"]
        assert "patients" in {one["name"] for one in datasets}
        problem = web.get("/w/clinic/data/missing?format=json")
    assert problem.status_code == 404
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_page_is_on_the_record(house: House) -> None:
    with house.signed_in() as web:
        twin = web.get("/w/clinic/data?format=json").json()
    with house.foundation.log.snapshot() as session:
        logged = house.foundation.log.entry(session, twin["calls"][0]["receipt"])
    assert (logged.event.operation, logged.event.outcome) == ("data.ls", "allowed")


def test_who_may_not_sees_what_to_do(house: House) -> None:
    with house.signed_in("reader") as web:
        answer = web.get("/w/clinic/log")
    assert answer.status_code == 403
    assert "Not permitted" in answer.text
    assert "ask an owner" in answer.text
    with house.signed_in("stranger") as web:
        for path in ("/w/clinic/data", "/w/clinic/people", "/w/clinic/data/patients"):
            assert web.get(path).status_code == 403
        assert "clinic" not in web.get("/").text.replace("/console/", "")


def test_people_and_who_can(house: House) -> None:
    with house.signed_in() as web:
        text = web.get("/w/clinic/people").text
        assert "reader" in text
        assert "Owner" in text
        asked = web.get("/w/clinic/people", params={"action": "addDataset"}).text
        assert "May do addDataset" in asked, asked
        unknown = web.get("/w/clinic/people", params={"action": "fly"})
        assert 'role="alert"' in unknown.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/w/clinic/data/missing", 404),
        ("/w/clinic/data/a/b", 404),
        ("/w/clinic/data/..%2f..", 404),
        ("/w/clinic/log/999999", 404),
        ("/w/clinic/log/x", 422),
        ("/w/clinic/log/-1", 422),
        ("/w/clinic/log?outcome=maybe", 422),
        ("/w/clinic/log?since=yesterday", 422),
        ("/w/clinic/log?action=a&action=b", 400),
        ("/w/UPPER/data", 422),
        ("/w/clinic/endpoints", 404),
        ("/w/clinic/models/weights", 404),
        ("/w/clinic/models/weights/x", 422),
        ("/w/clinic/models/weights/9", 404),
    ],
)
def test_what_is_not_there_or_wrong_is_a_page_not_a_fault(
    house: House, path: str, status: int
) -> None:
    with house.signed_in() as web:
        answer = web.get(path)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text


def test_hostile_text_is_escaped(house: House) -> None:
    name = "<script>alert(1)</script>"
    house.call(
        "data.add", workspace="clinic", name="hostile", purpose=name,
        body=b"a,<img src=x onerror=alert(1)>\n1,2\n",
    )  # fmt: skip
    with house.signed_in() as web:
        for path in ("/w/clinic/data", "/w/clinic/data/hostile",
                     "/w/clinic/log?action=<script>alert(1)</script>"):  # fmt: skip
            text = web.get(path).text
            assert "<script" not in text
            assert "<img src=x" not in text


# ---- models ----


def test_a_model_shows_its_scan_and_is_approved_by_who_may(house: House) -> None:
    with house.signed_in("reader") as web:
        page = web.get("/w/clinic/models/weights/1")
        assert page.status_code == 200
        assert "Approve" not in page.text
        assert "0 of 1 approvals" in page.text  # the rules, as the version meets them
        assert post(web, "/w/clinic/models/weights/1", {"verb": "model.approve"}).status_code == 403
        assert "checked" in web.get("/w/clinic/models/weights/1").text
    with house.signed_in() as web:
        assert "Approve" in web.get("/w/clinic/models/weights/1").text
        form = {"verb": "model.approve", "comment": "looks right", "purpose": "triage"}
        answer = post(web, "/w/clinic/models/weights/1", form)
        assert (answer.status_code, answer.headers["location"]) == (
            303, "/w/clinic/models/weights/1",
        )  # fmt: skip
        after = web.get("/w/clinic/models/weights/1").text
        assert "approved" in after
        assert "looks right" in after
        assert "Retire" in after
        # The form has a purpose for one button, and the others take none.
        odd = {"verb": "model.retire", "mood": "good"}
        assert post(web, "/w/clinic/models/weights/1", odd).status_code == 422
        again = post(web, "/w/clinic/models/weights/1", form)
        assert again.status_code == 409


def test_a_rejected_model_says_why_and_has_no_button(house: House) -> None:
    with house.signed_in() as web:
        assert "rejected" in web.get("/w/clinic/models").text
        page = web.get("/w/clinic/models/trap/1").text
        assert re.search(r"SR-PKL-00\d", page)
        assert "Approve" not in page
        assert post(web, "/w/clinic/models/trap/1", {"verb": "model.approve"}).status_code == 409


@pytest.mark.parametrize("verb", ["", "model.ls", "data.rm", "user.disable"])
def test_a_page_presses_only_its_own_buttons(house: House, verb: str) -> None:
    with house.signed_in() as web:
        answer = post(web, "/w/clinic/models/weights/1", {"verb": verb})
        assert answer.status_code == 404
        assert post(web, "/w/clinic/data/patients", {"verb": verb}).status_code == 404


# ---- the log ----


def test_the_log_is_searched_and_an_entry_proven(house: House, tmp_path: Path) -> None:
    with house.signed_in() as web:
        listed = web.get("/w/clinic/log", params={"action": "addDataset"}).text
        index = re.findall(r'href="/w/clinic/log/(\d+)"', listed)[-1]
        page = web.get(f"/w/clinic/log/{index}").text
        assert "<svg" in page
        assert f'Entry <span class="name">{index}</span>' in page
        saved = web.get(f"/w/clinic/log/{index}/receipt")
    assert (
        saved.headers["content-disposition"] == f'attachment; filename="entry-{index}.tlog-proof"'
    )
    key = house.foundation.log.key
    assert str(key) in page.replace("&#43;", "+")
    checkpoint = Receipt.parse(saved.text).verify([LogKey.parse(str(key))])
    assert checkpoint.root.hex() in page or checkpoint.size > 0


def test_open_findings_are_shown_to_those_who_may_see_them(house: House) -> None:
    finding = IntegrityFindingRow(
        kind="standing", subject="usr_<mallory>", reason="the seal does not fit",
        found_at=datetime.now(UTC), entry=3,
    )  # fmt: skip
    house.call("user.create", name="owner-only")
    with house.foundation.database.write() as session:
        session.add(finding)
        owner = Accounts().find(session, "owner-only").id
        house.foundation.issuer.claim_here(session, owner)
        claim = Accounts().claim(session, owner)
    house.call("role.grant", workspace="clinic", principal="owner-only", role="Owner", claim=claim)
    with house.signed_in() as web:
        for path in ("/", "/w/clinic/log"):
            page = web.get(path).text
            assert "Changed outside the server" in page
            assert "usr_&lt;mallory&gt;" in page
    with house.signed_in("owner-only") as web:
        assert "Changed outside" not in web.get("/w/clinic/log").text
    house.call("audit.resolve", kind="standing", subject="usr_<mallory>", reason="a test's own")
    with house.signed_in() as web:
        assert "Changed outside" not in web.get("/w/clinic/log").text
    with pytest.raises(NotFoundError):
        house.call("audit.resolve", kind="standing", subject="usr_<mallory>", reason="again")


def test_the_drawn_path_leads_to_the_root_in_trees_of_all_sizes() -> None:
    """The drawing's last hash is the signed root, whatever the tree's shape."""
    from strongroom.engines.crypto.signing import SigningKey
    from strongroom.engines.ledger.checkpoint import Checkpoint
    from strongroom.engines.ledger.hashing import leaf_hash, node_hash
    from strongroom.engines.ledger.proofs import inclusion, root

    signing = SigningKey.from_seed(bytes(32))
    key = LogKey("test/log", signing.verifying_key.raw())
    for size in (1, 2, 3, 5, 8, 13):
        leaves = [leaf_hash(bytes([n])) for n in range(size)]

        def read(level: int, index: int, leaves: list[bytes] = leaves) -> bytes:
            if not level:
                return leaves[index]
            return node_hash(read(level - 1, index * 2), read(level - 1, index * 2 + 1))

        note = Checkpoint(key.name, size, root(size, read)).signed(key, signing.sign)
        for index in range(size):
            receipt = Receipt(index, bytes([index]), tuple(inclusion(index, size, read)), note)
            drawn = proofs.view(receipt.text(), str(key))
            assert (drawn.steps[-1].result if drawn.steps else drawn.leaf) == drawn.root
            assert len(drawn.dots) == 2 * len(drawn.steps) + 1
            assert all(0 < dot.x < drawn.width and 0 < dot.y < drawn.height for dot in drawn.dots)


def test_a_form_that_trickles_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may send one, so nobody may hold a connection with it."""
    monkeypatch.setattr(sessions, "FORM_SECONDS", 0.5)
    context = ssl.create_default_context(cafile=house.ca)
    host, _, port = house.address.removeprefix("https://").partition(":")
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {house.address}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nl"
    )
    began = time.monotonic()
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(head.encode())
        assert b" 408 " in connection.recv(200)
    assert time.monotonic() - began < 5
