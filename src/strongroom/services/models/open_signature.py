"""The signature of a version for people without this server: an OpenSSF model-signing bundle.

It is made when it is asked for, out of the statement that was verified just then, and each time
the same: so it can be had of versions that were signed before there was one, and none is kept that
could be put in another's place.
"""

from strongroom.engines.crypto import model_signature
from strongroom.engines.crypto.model_signature import Manifest, Resource, Serialization
from strongroom.engines.crypto.signing import SigningKey
from strongroom.errors import StateError
from strongroom.services.models.statements import SignedVersion

FILE_NAME = "model.sig"
"""Where it lies beside the files of a version; the signature does not cover itself."""
MEDIA_TYPE = model_signature.MEDIA_TYPE


def bundle(model: str, signed: SignedVersion, key: SigningKey) -> bytes:
    """The bundle of a version whose statement was verified; `model` is its name, for people.

    Raises:
        StateError: the version has a file in the place of the signature.
    """
    if any(file.path == FILE_NAME for file in signed.files):
        raise StateError(
            f"the version has a file `{FILE_NAME}` of its own",
            next_step="check it by `strongroom model statement`, or register it without that file",
        )
    resources = tuple(Resource(file.path, file.sha256) for file in signed.files)
    manifest = Manifest(model, resources, Serialization(ignored=(FILE_NAME,)))
    return model_signature.sign(manifest, key, is_repeatable=True)
