"""A model on the user's disk, in another registry's form: read, checked, sent to a server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import TamperedError, UsageError, ValidationError
from strongroom.faces.cli import options, output
from strongroom.faces.cli.model_members import Member, digests_of, members_of
from strongroom.faces.cli.oci_layout import MARK, files_of_layout
from strongroom.faces.client.importing import OutgoingFile, send_model
from strongroom.services.models.import_types import ImportForm
from strongroom.services.models.registered_files import check_names

_MLFLOW = "MLmodel"
_HUGGINGFACE = frozenset(
    {"config.json", "model_index.json", "adapter_config.json", "README.md", ".gitattributes"}
)
_WEIGHTS = (".safetensors", ".gguf", ".onnx")
_SIGNATURE = "model.sig"
_NOT_OF_THE_MODEL = (".git/", ".cache/")
"""Of a Hugging Face folder: what git and its downloader keep for themselves."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A model as it lies there.

    Attributes:
        left_out: paths that are not sent.
    """

    form: ImportForm
    files: tuple[OutgoingFile, ...]
    left_out: tuple[str, ...]


def read_model(path: Path, form: ImportForm | None, reference: str = "") -> ReadModel:
    """The files of a model and their digests; of an OCI layout each was compared with its own.

    Args:
        path: a folder or a tar.
        form: None: by what lies in it.
        reference: of an OCI layout with several manifests, the one that is meant.

    Raises:
        UsageError: it is in no form that is known.
        ValidationError, TooLargeError, CallerError: it cannot be read, or not safely.
        TamperedError: a blob is not what the layout says.
    """
    members = members_of(path)
    form = form or _recognised(members)
    if form is ImportForm.OCI:
        named = files_of_layout(members, reference)
    elif reference:
        raise UsageError("only an OCI layout has a --reference")
    else:
        named = {name: (member, "") for name, member in members.items()}
    left_out = sorted(name for name in named if _is_left_out(name, form))
    taken = {name: named[name] for name in sorted(named.keys() - set(left_out))}
    if not taken:
        raise ValidationError(f"there is no file of a model at `{path}`")
    check_names(list(taken))
    digests = _digests(member for member, _ in taken.values())
    files = []
    for name, (member, announced) in taken.items():
        digest = digests[member]
        if announced and digest != announced:
            raise TamperedError(f"`{name}` in the OCI layout does not have its digest")
        files.append(OutgoingFile(name, member.size, digest, member.pieces))
    return ReadModel(form, tuple(files), tuple(left_out))


def _digests(members: Iterable[Member]) -> dict[Member, str]:
    each = list(dict.fromkeys(members))
    return dict(zip(each, digests_of(each), strict=True))


def _is_left_out(name: str, form: ImportForm) -> bool:
    if name == _SIGNATURE:
        return True
    return form is ImportForm.HUGGINGFACE and name.startswith(_NOT_OF_THE_MODEL)


def _recognised(members: Mapping[str, Member]) -> ImportForm:
    if MARK in members:
        return ImportForm.OCI
    if _MLFLOW in members:
        return ImportForm.MLFLOW
    top = {name for name in members if "/" not in name}
    if top & _HUGGINGFACE or any(name.endswith(_WEIGHTS) for name in top):
        return ImportForm.HUGGINGFACE
    raise UsageError(
        "this looks like no MLflow folder, Hugging Face folder or OCI layout",
        next_step="say which it is with --form",
    )


def run_import(
    name: str,
    path: Path,
    *,
    form: ImportForm | None,
    reference: str,
    reuse: bool,
    connection: tuple[str | None, str | None, str | None, str | None],
    as_json: bool,
) -> None:
    """Read a model, send it and show the version that it became."""
    with options.connect(*connection) as client:
        model = read_model(path, form, reference)
        output.words(f"{len(model.files):,} files in the form {model.form.value}")
        if model.left_out:
            shown = ", ".join(model.left_out[:5])
            more = ", …" if len(model.left_out) > 5 else ""
            output.words(output.clean(f"left out: {shown}{more}"))
        with output.progress("model import") as progress:
            answer = send_model(
                client, name, model.files, model.form.value, reuse=reuse, progress=progress
            )
    output.data(answer, as_json=as_json)
