"""Runs the attacks on an instance, and tells how it did."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Ran, Report, report_of
from strongroom.engines.robustness.outcome import judge
from strongroom.errors import UsageError
from strongroom.faces.cli import attack_shown, output
from strongroom.faces.cli.attack import EXIT_CODES
from strongroom.faces.cli.drafts import draft, require_free
from strongroom.faces.cli.self_attack import bending, burdening, reaching
from strongroom.faces.cli.self_attack.attempts import GATES, Attack, tried
from strongroom.faces.cli.self_attack.instance import Instance
from strongroom.faces.cli.self_attack.open_instance import open_instance
from strongroom.faces.client.client import require_key
from strongroom.faces.client.profiles import Profile

ATTACKS: tuple[Attack, ...] = (*reaching.ATTACKS, *bending.ATTACKS, *burdening.ATTACKS)
_PLAN = 'version = 1\nname = "self"\n'
_BREATH = 2.0
"""Seconds between attacks, so that the limits of one are not spent by another."""


@dataclass(frozen=True, slots=True)
class SelfOptions:
    """What was asked for.

    Attributes:
        profile: server and key.
        other: a workspace in which the key is good for nothing; empty for unknown.
        tests: ids; empty: all.
    """

    profile: Profile
    other: str = ""
    tests: tuple[str, ...] = ()
    report: Path | None = None
    html: Path | None = None
    force: bool = False
    as_json: bool = False


def run_self_attack(options: SelfOptions) -> int:
    """Attack, show, and give the exit code."""
    require_key(options.profile)
    if not options.profile.workspace:
        raise UsageError("say with --workspace where the key is good")
    if unknown := sorted(set(options.tests) - {one.id for one in ATTACKS}):
        raise UsageError(
            f"there is no attack `{unknown[0]}`",
            next_step=f"the attacks are {', '.join(one.id for one in ATTACKS)}",
        )
    for to in (options.report, options.html):
        if to is not None:
            require_free(to, force=options.force)
    report = attacked(options)
    made = f"Made by strongroom {version('strongroom')} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    shown = {**document.report_json(report), "model": options.profile.server, "made": made}
    if options.html is not None:
        page = report_page(report, model=options.profile.server, made=made)
        with draft(options.html, force=options.force) as file:
            file.write(page.encode())
    if options.report is not None:
        with draft(options.report, force=options.force) as file:
            file.write(json.dumps(shown, indent=1, ensure_ascii=False).encode())
    if options.as_json:
        output.data(shown, as_json=True)
    else:
        attack_shown.show(report)
    return EXIT_CODES[report.verdict]


def attacked(options: SelfOptions) -> Report:
    """The report of the attacks on an instance."""
    profile = options.profile
    instance = Instance(profile, workspace=profile.workspace, other=options.other)
    instance.connect().close()  # before all else: whether there is somebody to attack
    chosen = [one for one in ATTACKS if not options.tests or one.id in options.tests]
    ran = []
    with open_instance() as stand_in, output.stages("attacking") as tell:
        for at, attack in enumerate(chosen):
            tell(attack.id, at / len(chosen))
            started = time.process_time()
            outcome = tried(attack, instance, stand_in)
            ran.append(
                Ran(
                    attack.id, attack.threat, attack.title, GATES, outcome,
                    judge(outcome, GATES), cpu_seconds=time.process_time() - started,
                )
            )  # fmt: skip
            if at + 1 < len(chosen):
                time.sleep(_BREATH)
    return report_of(parse_plan(_PLAN), ran)
