"""Names of artifacts: parsed strictly, so that no name means another place than it says."""

import re
from dataclasses import dataclass

from strongroom.errors import ValidationError

MAX_PATH_CHARACTERS = 1_024
MAX_SEGMENT_CHARACTERS = 255
SCHEME = "mlflow-artifacts:/"

_FOLDER = re.compile(
    r"workspaces/(?P<workspace>[a-z0-9][a-z0-9-]{0,61}[a-z0-9])/(?P<experiment>[0-9]{1,19})/"
    r"(?P<folder>[0-9a-f]{32}|models/m-[0-9a-f]{32}|traces/[A-Za-z0-9_-]{1,64})/artifacts"
    r"(?:/(?P<path>.*))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one run, logged model or trace lie.

    Attributes:
        folder: `<run id>`, `models/<logged model id>` or `traces/<trace id>`.
    """

    workspace: str
    experiment: str
    folder: str

    @property
    def uri(self) -> str:
        """The place as MLflow's clients know it."""
        return f"{SCHEME}workspaces/{self.workspace}/{self.experiment}/{self.folder}/artifacts"


def parse(full_path: str) -> tuple[Place, str]:
    """Place and path within it, of a path as MLflow's artifact routes have it.

    Raises:
        ValidationError: not such a path.
    """
    match = _FOLDER.fullmatch(full_path)
    if match is None:
        raise ValidationError("the artifact path names no run, logged model or trace")
    place = Place(match["workspace"], match["experiment"], match["folder"])
    return place, checked(match["path"] or "")


def parse_uri(uri: str) -> tuple[Place, str]:
    """Place and path within it, of a URI `mlflow-artifacts:/workspaces/…`.

    Raises:
        ValidationError: any other URI.
    """
    if not uri.startswith(SCHEME):
        raise ValidationError("files are only taken from artifacts on this server")
    return parse(uri.removeprefix(SCHEME))


def checked(path: str) -> str:
    """`path` if it is a relative path with nothing special in it; may be empty.

    Raises:
        ValidationError: it could mean another place, or is too long.
    """
    if not path:
        return ""
    if len(path) > MAX_PATH_CHARACTERS:
        raise ValidationError(f"an artifact path has at most {MAX_PATH_CHARACTERS} characters")
    for segment in path.split("/"):
        if segment in {"", ".", ".."} or len(segment) > MAX_SEGMENT_CHARACTERS:
            raise ValidationError("the artifact path has an empty, dotted or too long part")
    # A `%` would let a second decoding somewhere find dots and slashes.
    if not path.isprintable() or any(it in path for it in "\\%"):
        raise ValidationError("the artifact path has a character that is not allowed")
    return path
