"""What a model version is to be made of: files on this server, in the caller's workspace."""

import re
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import StrongroomError, ValidationError
from strongroom.faces.mlflow import lookups
from strongroom.faces.mlflow.caller import Caller, OpenCall
from strongroom.faces.mlflow.guard import in_our_schema
from strongroom.faces.mlflow.places import Place, checked, parse_uri
from strongroom.faces.mlflow.tables import RegistrationRow

_RUNS = re.compile(r"runs:/([0-9a-f]{32})(?:/(.*))?", re.DOTALL)
_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})")
_VERSION = re.compile(r"models:/([^/]+)/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Source:
    """Files to register.

    Attributes:
        prefix: directory within the place; empty for all of it.
        version_of: name of the registered model whose version is copied, or empty.
        entry: that version's id in the model room, or empty.
    """

    place: Place
    prefix: str
    version_of: str = ""
    entry: str = ""

    @property
    def uri(self) -> str:
        """Where MLflow's clients find the files."""
        return f"{self.place.uri}/{self.prefix}" if self.prefix else self.place.uri


def resolve(call: OpenCall, uri: str) -> Source:
    """The files that `uri` names.

    Raises:
        ValidationError: anything but artifacts of this server in the caller's workspace; a
            file path, another server or a bucket are refused, whatever they hold.
    """
    caller = call.caller
    if match := _RUNS.fullmatch(uri):
        return _owned(caller, match[1], lookups.experiments_of_runs, match[1], match[2] or "")
    if match := _LOGGED_MODEL.fullmatch(uri):
        folder = f"models/{match[1]}"
        return _owned(caller, match[1], lookups.experiments_of_logged_models, folder, "")
    if match := _VERSION.fullmatch(uri):
        with in_our_schema(call) as session:
            row = registration(session, caller.workspace, match[1], int(match[2]))
        if row is None:
            raise ValidationError("there is no such version of a registered model")
        place = Place(row.workspace, row.experiment, row.folder)
        return Source(place, row.prefix, row.model, row.entry)
    place, prefix = parse_uri(uri)
    if place.workspace != caller.workspace:
        raise ValidationError("the files lie in another workspace")
    return Source(place, prefix)


def try_resolve(call: OpenCall, uri: str) -> Source | None:
    """As `resolve`, with None in place of an error."""
    try:
        return resolve(call, uri)
    except StrongroomError:
        return None


def registration(
    session: Session, workspace: str, model: str, version: int
) -> RegistrationRow | None:
    """What was registered under that name and number; no number is used twice."""
    return session.scalars(
        select(RegistrationRow).where(
            RegistrationRow.workspace == workspace,
            RegistrationRow.model == model,
            RegistrationRow.version == version,
        )
    ).one_or_none()


def last_version(session: Session, workspace: str, model: str) -> int:
    """The highest number ever registered under that name, 0 where none was."""
    return (
        session.scalar(
            select(func.max(RegistrationRow.version)).where(
                RegistrationRow.workspace == workspace, RegistrationRow.model == model
            )
        )
        or 0
    )


def _owned(
    caller: Caller, identity: str, parents: lookups.Parents, folder: str, prefix: str
) -> Source:
    experiment = parents([identity]).get(identity)
    if experiment is None:
        raise ValidationError("there is no such run or logged model")
    return Source(Place(caller.workspace, experiment, folder), checked(prefix.rstrip("/")))
