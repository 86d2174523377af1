"""The rules by which a workspace admits model versions: a small TOML text, read strictly."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as Misfit

from strongroom.errors import ValidationError
from strongroom.gate.access.roles import workspace_role

MAX_RULES_BYTES = 64 << 10
HOME_KEY = "home"
"""In `signed_by`: the key with which this server signs models."""

_TEXT = """\
# How a model version is admitted in this workspace. `strongroom model set-policy FILE` sets it.
version = 1

# clean: nothing was found. accepted: or those who approve accept what was found, and say why.
scan = "accepted"
findings_accepted_by = ["Owner", "Contributor", "ML Engineer"]

# Ids of the keys of which one has signed the version; home: the key of this server.
signed_by = ["home"]

# How many people approve, whether one of them may be who registered the version, of which roles.
approvals = {approvals}
own_approval = {own_approval}
approvers = ["Owner", "Contributor", "ML Engineer"]

# compatible: what the model is for (`--purpose`) is a purpose of all data that it was trained on.
# any: not asked. [also_for] names the further uses of a purpose.
purposes = "any"
# allow or refuse versions of which nobody recorded what data of this workspace they learned from.
unknown_data = "allow"
# refuse or warn: the data that a version was trained on has been erased since.
erased_data = "{erased_data}"

# stop: an endpoint whose version was changed outside the server is not loaded again.
# former: the version that was deployed there before is, if it is still approved and whole.
after_tampering = "stop"

# [also_for]
# "research on triage" = ["triage"]

# Checks that must have passed, no longer ago than that.
# [[assessments]]
# kind = "robustness"
# newer_than_days = 90

# What `strongroom model prune` deletes; 0: never. Approved versions stay whatever it says.
[retention]
keep_versions = 0
rejected_days = 0
retired_days = 0
"""

DEFAULT_TEXT = _TEXT.format(approvals=2, own_approval="false", erased_data="refuse")
"""With which a new workspace begins."""
FORMER_TEXT = _TEXT.format(approvals=1, own_approval="true", erased_data="warn")
"""Of workspaces from before there were rules, until an Owner sets some."""

_Kind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$")]
_Purpose = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Role = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_Days = Annotated[int, Field(ge=0, le=36_500)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AssessmentRule(_Read):
    """An assessment that must have passed."""

    kind: _Kind
    newer_than_days: int = Field(ge=1, le=36_500)


class Retention(_Read):
    """What is deleted when somebody prunes; 0: nothing for that reason.

    Attributes:
        keep_versions: of one model; older ones that were rejected or retired go.
        rejected_days, retired_days: since the decision.
    """

    keep_versions: int = Field(default=0, ge=0, le=100_000)
    rejected_days: _Days = 0
    retired_days: _Days = 0


class _File(_Read):
    version: Literal[1]
    scan: Literal["clean", "accepted"] = "accepted"
    findings_accepted_by: list[_Role] = Field(
        default=["Owner", "Contributor", "ML Engineer"], max_length=16
    )
    signed_by: list[Annotated[str, StringConstraints(min_length=1, max_length=128)]] = Field(
        default=[HOME_KEY], min_length=1, max_length=64
    )
    approvals: int = Field(default=2, ge=1, le=10)
    own_approval: bool = False
    approvers: list[_Role] = Field(
        default=["Owner", "Contributor", "ML Engineer"], min_length=1, max_length=16
    )
    purposes: Literal["any", "compatible"] = "any"
    unknown_data: Literal["allow", "refuse"] = "allow"
    erased_data: Literal["refuse", "warn"] = "refuse"
    after_tampering: Literal["stop", "former"] = "stop"
    also_for: dict[_Purpose, Annotated[list[_Purpose], Field(max_length=100)]] = Field(
        default={}, max_length=500
    )
    assessments: list[AssessmentRule] = Field(default=[], max_length=32)
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a workspace.

    Attributes:
        text: TOML, as it was set.
        accepts_findings: with a reason, of the roles in `accepting`; else a scan must be clean.
        accepting, approvers: ids of roles.
        also_for: purpose of data → uses that it allows beside itself.
    """

    text: str
    accepts_findings: bool
    accepting: frozenset[str]
    signed_by: tuple[str, ...]
    approvals: int
    own_approval: bool
    approvers: frozenset[str]
    asks_purpose: bool
    allows_unknown_data: bool
    refuses_erased_data: bool
    falls_back: bool
    also_for: Mapping[str, tuple[str, ...]]
    assessments: tuple[AssessmentRule, ...]
    retention: Retention

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the text, for approvals and records."""
        return f"sha256:{sha256(self.text.encode()).hexdigest()}"


def parse_rules(text: str) -> Rules:
    """The rules that a text states; what it leaves out is as in `DEFAULT_TEXT`.

    Raises:
        ValidationError: it is not TOML, or names what there is not; says where.
    """
    try:
        read = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ValidationError(f"the rules are not TOML: {str(error)[:200]}") from None
    except RecursionError:
        raise ValidationError("the rules are nested too deeply") from None
    except Misfit as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:200]
        raise ValidationError(f"the rules, at `{where}`: {first['msg'].lower()}") from None
    if len({one.kind for one in read.assessments}) < len(read.assessments):
        raise ValidationError("the rules name one kind of assessment twice")
    return Rules(
        text=text,
        accepts_findings=read.scan == "accepted",
        accepting=_roles(read.findings_accepted_by),
        signed_by=tuple(read.signed_by),
        approvals=read.approvals,
        own_approval=read.own_approval,
        approvers=_roles(read.approvers),
        asks_purpose=read.purposes == "compatible",
        allows_unknown_data=read.unknown_data == "allow",
        refuses_erased_data=read.erased_data == "refuse",
        falls_back=read.after_tampering == "former",
        also_for={data: tuple(uses) for data, uses in read.also_for.items()},
        assessments=tuple(read.assessments),
        retention=read.retention,
    )


def _roles(names: list[str]) -> frozenset[str]:
    return frozenset(workspace_role(name).id for name in names)
