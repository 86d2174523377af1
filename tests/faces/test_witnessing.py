"""Witnesses by C2SP tlog-witness: a real server that cosigns, and tells of a rollback."""

import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.faces.homes import give_reader, keep_database, put_back, served, settings_of

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.cosignature import (
    WitnessKey,
    cosign,
    cosigned_at,
    require_cosigned,
)
from strongroom.engines.ledger.proofs import verify_consistency
from strongroom.errors import RolledBackError, TamperedError, UnavailableError, ValidationError
from strongroom.faces import witnessing
from strongroom.faces.foundation import Foundation, open_foundation
from strongroom.faces.witnessing import Witness, Witnessing, witnesses_of
from strongroom.gate.hosting import host_event

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = WitnessKey("witness.example/w1", PRIVATE.public_key().public_bytes_raw())


class WitnessServer(ThreadingHTTPServer):
    """One witness for one log, after the specification of `add-checkpoint`."""

    def __init__(self, log: LogKey) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log = log
        self.latest: Checkpoint | None = None
        self.lock = threading.Lock()
        self.kind: str | None = None
        """Content type to state in place of the right one."""
        self.drip_seconds = 0.0
        """Between the bytes of an answer that does not end."""

    @property
    def witness(self) -> Witness:
        return Witness(f"http://127.0.0.1:{self.server_address[1]}", KEY)

    def add(self, body: bytes) -> tuple[int, str, str]:
        """Status, content type and body of the answer."""
        head, _, note = body.partition(b"\n\n")
        old_line, *lines = head.decode().split("\n")
        if note.split(b"\n")[0].decode() != self.log.name:
            return 404, "text/plain", ""
        try:
            checkpoint = Checkpoint.open(note, [self.log])
        except TamperedError:
            return 403, "text/plain", ""
        old = int(old_line.removeprefix("old "))
        if old > checkpoint.size:
            return 400, "text/plain", ""
        with self.lock:
            known = self.latest.size if self.latest else 0
            if old != known:
                return 409, "text/x.tlog.size", f"{known}\n"
            if self.latest and old:
                if old == checkpoint.size and self.latest.root != checkpoint.root:
                    return 409, "text/x.tlog.size", f"{known}\n"
                try:
                    verify_consistency(
                        old, checkpoint.size, self.latest.root, checkpoint.root,
                        [b64decode(line) for line in lines],
                    )  # fmt: skip
                except TamperedError:
                    return 422, "text/plain", ""
            self.latest = checkpoint
        return 200, "text/plain", cosign(checkpoint.text(), 1_795_735_000, KEY, PRIVATE.sign)


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, text = self.server.add(body)
        self.send_response(status)
        self.send_header("Content-Type", self.server.kind or kind)
        self.end_headers()
        while self.server.drip_seconds:
            try:
                self.wfile.write(b"\n")
            except OSError:
                return  # the client has gone
            time.sleep(self.server.drip_seconds)
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    served(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[WitnessServer]:
    with open_foundation(settings_of(home)) as foundation:
        key = foundation.log.key
    running = WitnessServer(key)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def asked(foundation: Foundation, server: WitnessServer) -> Witnessing:
    told: list[object] = []
    return Witnessing(
        foundation.database, foundation.log, [server.witness],
        alarm=lambda *words: told.append(words), seconds=3600,
    )  # fmt: skip


def test_a_receipt_carries_the_cosignature(home: Path, server: WitnessServer) -> None:
    with open_foundation(settings_of(home)) as foundation:
        asked(foundation, server).ask(server.witness)
        first = foundation.log.receipt(0)
        assert cosigned_at(first.checkpoint_note, KEY) == 1_795_735_000
        first.verify([foundation.log.key])
        # The log grows: the next round proves it to the witness.
        for _ in range(5):
            foundation.log.record(host_event("test.more"))
        asked(foundation, server).ask(server.witness)
        assert server.latest is not None
        assert server.latest.size == foundation.log.checkpoint.size
        last = foundation.log.receipt(server.latest.size - 1)
        require_cosigned(last.checkpoint_note, [KEY])
        last.verify([foundation.log.key])


def test_a_rollback_that_took_the_anchor_along_is_told_by_the_witness(
    tmp_path: Path, home: Path, server: WitnessServer
) -> None:
    settings = settings_of(home)
    with open_foundation(settings) as foundation:
        asked(foundation, server).ask(server.witness)
    keep_database(home, tmp_path / "kept")
    anchor = (home / "anchor").read_bytes()
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann")
        foundation.log.integrate()
        asked(foundation, server).ask(server.witness)
    put_back(home, tmp_path / "kept")
    (home / "anchor").write_bytes(anchor)
    with open_foundation(settings) as foundation:  # nothing here can tell
        with pytest.raises(RolledBackError, match="has cosigned"):
            asked(foundation, server).__enter__()
        # Grown past what the witness knows it is another log.
        for _ in range(5):
            foundation.log.record(host_event("test.other"))
        with pytest.raises(RolledBackError, match="does not grow"):
            asked(foundation, server).ask(server.witness, always=True)


def test_a_witness_that_is_away_or_lies_stops_nothing(home: Path, server: WitnessServer) -> None:
    with open_foundation(settings_of(home)) as foundation:
        away = Witness("http://127.0.0.1:9", KEY)
        with Witnessing(
            foundation.database, foundation.log, [away], alarm=lambda *_: None, seconds=3600
        ):
            pass
        other = WitnessKey("witness.example/w2", KEY.public)
        with pytest.raises(TamperedError, match="did not cosign"):
            asked(foundation, server).ask(Witness(server.witness.url, other))


def test_a_witness_that_never_ends_its_answer_holds_nothing_up(
    home: Path, server: WitnessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "_TIMEOUT_SECONDS", 0.5)
    # Each byte comes in time, the last one after days.
    server.drip_seconds = 0.05
    with open_foundation(settings_of(home)) as foundation:
        with pytest.raises(UnavailableError, match="too slowly"):
            asked(foundation, server).ask(server.witness)
        with asked(foundation, server):
            pass


@pytest.mark.parametrize("kind", ["text/plain; charset=hex", "text/plain; charset=undefined"])
def test_an_answer_is_not_decoded_as_it_says(home: Path, server: WitnessServer, kind: str) -> None:
    server.kind = kind
    with open_foundation(settings_of(home)) as foundation:
        asked(foundation, server).ask(server.witness)
        foundation.log.record(host_event("test.more"))
        # The witness is asked from the beginning, and says in that encoding what it knows.
        server.latest = None
        with pytest.raises(UnavailableError, match="does not say what it knows"):
            asked(foundation, server).ask(server.witness)


def test_the_setting_names_addresses_and_keys() -> None:
    assert witnesses_of("") == []
    assert witnesses_of(f"https://w.example/log/ {KEY}, https://x.example {KEY}") == [
        Witness("https://w.example/log", KEY),
        Witness("https://x.example", KEY),
    ]
    for wrong in (
        f"w.example {KEY}", "https://w.example", f"https://w.example {KEY}x",
        f"https://[::1 {KEY}", f"https://w.example:port {KEY}",
    ):  # fmt: skip
        with pytest.raises(ValidationError, match="witnesses"):
            witnesses_of(wrong)
