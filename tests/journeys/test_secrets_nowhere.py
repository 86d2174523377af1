"""After a day's work no key, link, passphrase or row is found where it does not belong."""

import base64
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.journeys.conftest import PASSPHRASE
from tests.journeys.served import COMMAND, WORKSPACE, Mlflow, Served
from tests.services.models.modelroom import honest_pickle, mlflow_folder

ROWS = 300
COOKIE = re.compile(r"__Host-strongroom=([^;]+)")


@dataclass
class Day:
    """What was used on that day, and what could be seen of it.

    Attributes:
        secrets: keys, links, cookies, the passphrase: what each is → its text.
        rows: values of the tables and files that were taken in.
        errors: bodies of answers that refuse something.
        arguments: command lines of the server and whatever it started.
        environments: their environments.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    arguments: set[str] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def day(served: Served) -> Day:
    """A day's work: tables, models, predictions, keys, links, the console, and many mistakes."""
    spent = Day()
    spent.secrets |= {f"key of {name}": key for name, key in served.keys.items()}
    spent.secrets["passphrase"] = PASSPHRASE
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(served, spent, over), daemon=True)
    watcher.start()
    _tables(served, spent)
    _models(served, spent)
    _console(served, spent)
    _command_line(served, spent)
    _mistakes(served, spent)
    over.set()
    watcher.join(10)
    return spent


def _watch(served: Served, spent: Day, over: threading.Event) -> None:
    """Look again and again at what anyone on the machine may see of the processes."""
    assert served.process is not None
    while not over.is_set():
        for pid in _family(served.process.pid):
            for name, seen in (("cmdline", spent.arguments), ("environ", spent.environments)):
                try:
                    content = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue  # it has ended
                seen.add(content.replace(b"\0", b" ").decode("utf-8", "replace"))
        time.sleep(0.02)


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def _tables(served: Served, spent: Day) -> None:
    people = [
        (f"Zora{secrets.token_hex(5)}", f"{secrets.token_hex(8)}@example.org") for _ in range(ROWS)
    ]
    spent.rows += [text for person in people for text in person]
    csv = "name,email,visits\n" + "".join(f"{n},{e},{i}\n" for i, (n, e) in enumerate(people))
    jsonl = "".join(f'{{"name": "{name}", "email": "{email}"}}\n' for name, email in people)
    with served.client("olga") as owner:
        owner.call("data.add", csv.encode(), name="people", format="csv")
        owner.call("data.add", jsonl.encode(), name="people-too", format="jsonl")
        assert owner.read_table("people").column("name").to_pylist()[0] == people[0][0]
        owner.call("data.classify", name="people", column="name", type="engine")
        owner.call("data.add", csv.encode() + b"x,y,1\n", name="removed", format="csv")
        owner.call("data.rm", name="removed")
        made = owner.call("token.create", purpose="the-day", days=1)
        spent.secrets["a second key"] = made["secret"]
        owner.call("token.revoke", key=made["secret"][:20])
    with served.client("dan") as scientist:
        masked = scientist.read_table("people").column("email").to_pylist()
        assert not set(masked) & set(spent.rows)


def _models(served: Served, spent: Day) -> None:
    note = f"this model was made by {secrets.token_hex(10)} for {secrets.token_hex(10)}"
    spent.rows.append(note)
    with Mlflow(served, "dan") as mlflow:
        run = mlflow.run("the day")
        for name, content in mlflow_folder(honest_pickle()).items():
            assert mlflow.put(run, f"model/{name}", content).status_code == 200
        assert mlflow.put(run, "model/notes.md", note.encode()).status_code == 200
        mlflow.made("registered-models/create", {"name": "day"})
        source = {"source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
        mlflow.made("model-versions/create", {"name": "day", **source})
        assert mlflow.checked("day", 1)["status"] == "READY"
        assert mlflow.fetch(run, "model/notes.md").text == note
    # Names of callables within the pickle, as whoever copies the disk would look for them.
    spent.rows.append("sklearn.linear_model._logistic")
    with served.client("olga") as owner:
        owner.call("model.approve", name="day", version=1)
    with served.client("emma") as engineer:
        engineer.call("model.approve", name="day", version=1)
        engineer.call("endpoint.create", endpoint="day")
        engineer.call("endpoint.deploy", endpoint="day", model="day", version=1)
    with served.http(served.keys["dan"]) as http:
        answer = http.post(f"/endpoints/{WORKSPACE}/day/score", json={"rows": [[1, 2, 3, 4]]})
        assert answer.status_code == httpx.codes.OK, answer.text


def _console(served: Served, spent: Day) -> None:
    with served.client() as operator:
        operator.call("user.create", name="late")
        spent.secrets["an invitation"] = operator.call("user.invite", user="late")["token"]
    with served.http(spent.secrets["an invitation"]) as http:
        claimed = http.post("/api/v1/claim")
        assert claimed.status_code == httpx.codes.OK, claimed.text
        spent.secrets["a first key"] = claimed.json()["secret"]
        spent.errors.append(http.post("/api/v1/claim").text)
    with served.client("olga") as owner:
        spent.secrets["link"] = owner.call("link.create")["token"]
    with served.http() as http:
        http.get("/sign-in", params={"link": spent.secrets["link"]})
        http.headers["Origin"] = served.url
        begun = http.post("/sign-in", data={"link": spent.secrets["link"]})
        cookie = COOKIE.search(begun.headers["set-cookie"])
        assert cookie is not None
        spent.secrets["cookie"] = cookie[1]
        http.headers["Cookie"] = f"__Host-strongroom={cookie[1]}"
        assert http.get("/").status_code == httpx.codes.OK
        # A link is good once.
        again = http.post("/sign-in", data={"link": spent.secrets["link"]})
        spent.errors.append(again.text)


def _command_line(served: Served, spent: Day) -> None:
    """The command line takes its key from a file, so nobody sees it among the arguments."""
    file = served.home.with_name("olga.key")
    file.touch(0o600)
    file.write_text(served.keys["olga"])
    environment = {
        **served.environment(), "STRONGROOM_API_KEY_FILE": str(file),
        "STRONGROOM_SERVER": served.url, "STRONGROOM_CA_FILE": str(served.ca),
        "STRONGROOM_WORKSPACE": WORKSPACE,
    }  # fmt: skip
    for arguments in (["data", "ls", "--json"], ["whoami"], ["data", "show", "nowhere"]):
        with subprocess.Popen(
            [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            seen = b""
            while not seen and process.poll() is None:  # empty while it is being started
                seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            spent.arguments.add(seen.replace(b"\0", b" ").decode())
            out, error = process.communicate(timeout=240)
        spent.errors += [out.decode(), error.decode()]
    file.unlink()


def _mistakes(served: Served, spent: Day) -> None:
    """Secrets and rows where they do not belong: in addresses, queries, headers, broken bodies."""
    key, value = served.keys["olga"], spent.rows[0]
    wrong = f"srk_{'b' * 16}_{secrets.token_hex(26)}"
    spent.secrets["a wrong key"] = wrong
    home = f"/api/v1/workspaces/{WORKSPACE}"
    attempts: list[tuple[str, str, dict[str, object]]] = [
        ("GET", f"/api/v1/whoami?token={key}", {}),
        ("GET", f"/api/v1/whoami?key={key}&api_key={key}", {}),
        ("GET", f"/{key}", {}),
        ("GET", f"{home}/data/{key}", {}),
        ("GET", f"/api/2.0/mlflow/{key}", {}),
        ("GET", f"/endpoints/{WORKSPACE}/{key}/v2", {}),
        ("GET", "/api/v1/whoami", {"headers": {"Authorization": f"Bearer {wrong}"}}),
        ("GET", "/api/v1/whoami", {"headers": {"Authorization": f"Token {key}"}}),
        ("GET", "/api/v1/whoami", {"headers": {"Authorization": f"Basic {key}"}}),
        ("POST", "/api/v1/tokens", {"json": {"purpose": key, "days": value}}),
        ("POST", "/api/v1/tokens", {"content": f'{{"purpose": "{value}'.encode()}),
    ]
    broken = [
        ("csv", f"name,email\n{value},a\n{value}\n"), ("csv", f"name,name\n{value},b\n"),
        ("csv", f'name,email\n"{value},b\n'), ("csv", f"name,email\n{value},\x00\n"),
        ("jsonl", f'{{"name": "{value}"}}\n{{"name": {value}}}\n'), ("jsonl", f"{value}\n"),
        ("parquet", f"PAR1{value}PAR1"), ("arrow", value), ("csv", value * 3),
    ]  # fmt: skip
    attempts += [
        ("POST", f"{home}/data/broken-{n}?format={form}", {"content": body.encode()})
        for n, (form, body) in enumerate(broken)
    ]
    attempts += [
        ("GET", f"{home}/data/people/rows?columns={value}", {}),
        ("GET", f"{home}/data/people?version={value}", {}),
        ("POST", f"/endpoints/{WORKSPACE}/day/score", {"json": {"rows": [[value, 1, 2, 3]]}}),
        ("POST", f"/endpoints/{WORKSPACE}/day/score", {"content": value.encode()}),
        ("POST", f"/endpoints/{WORKSPACE}/day/invocations", {"json": {"dataframe_split": value}}),
        ("POST", "/api/2.0/mlflow/runs/create", {"content": f'{{"experiment_id": "{value}'}),
    ]
    headers = {"Authorization": f"Bearer {key}"}
    for method, path, more in attempts:
        with served.http() as http:
            answer = http.request(method, path, **{"headers": headers, **more})  # type: ignore[arg-type] # httpx's own
        # What is not refused comes from a store that has the caller's words for it.
        if answer.status_code >= 400:
            spent.errors.append(answer.text)


def forms(secret: str) -> list[bytes]:
    """A secret as it could be stored: as it is, wide, in hex, in base 64."""
    body = secret.split("_")[2] if re.match(r"sr[ksli]_", secret) else secret
    plain = body.encode()
    return [
        plain, body.encode("utf-16-le"), plain.hex().encode(), base64.b64encode(plain).rstrip(b"=")
    ]  # fmt: skip


def files(served: Served) -> Iterator[Path]:
    """Everything that the server wrote, but what it printed to whoever started it."""
    for folder in (served.home, served.temporary):
        yield from (path for path in folder.rglob("*") if path.is_file())
    yield served.log


def test_no_secret_lies_on_the_disk(served: Served, day: Day) -> None:
    assert len(day.secrets) >= 14
    sought = {form: what for what, secret in day.secrets.items() for form in forms(secret)}
    names = set()
    for path in files(served):
        names.add(path.name)
        content = path.read_bytes()
        assert [what for form, what in sought.items() if form in content] == [], path
    # It was all looked at, also what the database has not moved to its place yet.
    assert {"strongroom.db", "strongroom.db-wal", "root.key", "server.key"} <= names


def test_no_row_lies_on_the_disk(served: Served, day: Day) -> None:
    rows = [row.encode() for row in day.rows]
    assert len(rows) > 2 * ROWS
    for path in files(served):
        content = path.read_bytes()
        assert [row for row in rows if row in content] == [], path


def test_nothing_is_left_among_temporary_files(served: Served, day: Day) -> None:
    assert [path for path in served.temporary.rglob("*") if path.is_file()] == []


def test_the_first_key_is_printed_once_and_only_there(served: Served, day: Day) -> None:
    printed = served.output.read_text()
    assert printed.count(served.operator) == 1
    others = [secret for what, secret in day.secrets.items() if what != "passphrase"]
    assert [secret for secret in [*others, PASSPHRASE] if secret in printed] == []


def test_no_answer_repeats_a_secret_or_a_row(day: Day) -> None:
    assert len(day.errors) > 25
    texts = [secret.split("_")[2] if "_" in secret else secret for secret in day.secrets.values()]
    for body in day.errors:
        # A name that the caller gave may come back in an error about that name, but no key and
        # nothing of a table.
        assert [text for text in texts if text in body] == [], body[:300]
    for body in day.errors:
        assert day.rows[1] not in body


def test_no_broken_table_is_quoted(day: Day) -> None:
    quoted = [body for body in day.errors if day.rows[0] in body]
    # Only where the caller wrote it into the address itself.
    assert [body for body in quoted if '"table.' in body] == []


def test_nobody_sees_a_secret_among_the_processes(day: Day) -> None:
    for seen in (" serve ", "strongroom.services.jobs", " data ls "):
        assert any(seen in line for line in day.arguments), day.arguments
    for seen in (*day.arguments, *day.environments):
        assert [what for what, text in day.secrets.items() if text in seen] == []
        assert [row for row in day.rows if row in seen] == []


def test_no_core_file_is_written_if_it_crashes(served: Served) -> None:
    assert served.process is not None
    limits = Path(f"/proc/{served.process.pid}/limits").read_text()
    (core,) = [line.split() for line in limits.splitlines() if "core file" in line]
    assert core[4:6] == ["0", "0"]


def test_the_log_of_the_server_says_something(served: Served, day: Day) -> None:
    lines = served.log.read_text()
    assert "model_checked" in lines
    assert "Traceback" not in lines
