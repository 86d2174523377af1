"""A model version that was pulled, compared with what the server has signed before it appears.

So a file that was changed on its way, cut, or put in another's place is never taken for the model.
Whom the key belongs to, this does not tell: `strongroom verify` does, with a key from elsewhere.
"""

import tarfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import TamperedError
from strongroom.faces.client.transfer import Progress

if TYPE_CHECKING:
    from strongroom.faces.client.client import Client

OPERATION = "model.pull"
_VERSION_TYPE = "urn:strongroom:model-version:v1"
_SIGNATURE = "model.sig"
_PIECE_BYTES = 1 << 20
_AGAIN = "pull it again; `strongroom model verify` says whether it is whole on the server"


def pull_model(
    client: "Client", to: Path, *, progress: Progress | None = None, **fields: object
) -> None:
    """Write a version as a tar, or one of its files, once it is found to be what was signed.

    Args:
        fields: of the operation `model.pull`: `name`, `version`, and `path` for one file.

    Raises:
        TamperedError: it is not; nothing is left at `to`.
        StrongroomError: whatever the server says.
    """
    about: dict[str, Any] = {one: fields.get(one) for one in ("workspace", "name", "version")}
    signed = _signed(client.call("model.statement", **about), about)
    client.download(OPERATION, to, progress=progress, check=_check(signed, fields), **fields)


def _signed(given: Mapping[str, Any], about: Mapping[str, object]) -> dict[str, str]:
    """Digests of the files of a version, by path, as its statement says."""
    key = VerifyingKey.from_pem(str(given["public_key"]).encode())
    statement = dsse.verify(str(given["envelope"]).encode(), [key])
    said = statement.predicate
    wanted = (about["name"], str(about["version"]))
    if (
        statement.predicate_type != _VERSION_TYPE
        or (said.get("model"), str(said.get("version"))) != wanted
        or said.get("workspace") != (about["workspace"] or said.get("workspace"))
    ):
        raise TamperedError("the signed statement is about another model version", next_step=_AGAIN)
    return {subject.name: subject.sha256 for subject in statement.subjects}


def _check(signed: Mapping[str, str], fields: Mapping[str, object]) -> Callable[[Path], None]:
    def check(draft: Path) -> None:
        expected, path = dict(signed), fields.get("path")
        if path:
            with draft.open("rb") as file:
                found = {str(path): _digest(file)}
            expected = {str(path): signed.get(str(path), "")}
        else:
            found = _of_tar(draft, len(expected) + 1)
            if fields.get("signature") and _SIGNATURE not in expected:
                found.pop(_SIGNATURE, None)  # it does not cover itself
        differ = [one for one in {**expected, **found} if expected.get(one) != found.get(one)]
        if differ:
            raise TamperedError(
                f"`{differ[0]}` is not what was signed; nothing was kept", next_step=_AGAIN
            )

    return check


def _of_tar(draft: Path, most: int) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        with tarfile.open(draft, "r:") as tar:
            for info in tar:
                content = tar.extractfile(info) if info.isreg() else None
                if content is None or info.name in found or len(found) >= most:
                    raise TamperedError("the tar has what was not signed", next_step=_AGAIN)
                found[info.name] = _digest(content)
    except tarfile.TarError:
        raise TamperedError("what came is no whole tar", next_step=_AGAIN) from None
    return found


def _digest(file: IO[bytes]) -> str:
    hasher = sha256()
    while piece := file.read(_PIECE_BYTES):
        hasher.update(piece)
    return hasher.hexdigest()
