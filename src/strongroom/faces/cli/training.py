"""`strongroom train`: a model with differential privacy from a file; without a server."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp.training.domain import MAX_CHARACTERS, Domain, parse_domain
from strongroom.engines.privacy.dp.training.drafting import domain_text, drafted
from strongroom.engines.privacy.dp.training.model import AdditiveModel
from strongroom.engines.privacy.dp.training.onnx_form import onnx_bytes
from strongroom.engines.privacy.dp.training.running import (
    ONNX_NAME,
    Method,
    Origin,
    PrivateModel,
    Wish,
    price,
    train,
)
from strongroom.engines.privacy.dp.training.trainer_audits import audit_trainer
from strongroom.errors import ChoiceError, InternalError, TooLargeError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_free
from strongroom.faces.cli.files import STDIN, one_file
from strongroom.faces.cli.study import MAX_HELD_BYTES, StudyOptions, small_text, tables_of

_FILES = ("model.additive.json", ONNX_NAME, "privacy.json")
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What was asked for."""

    study: StudyOptions
    epsilon: float
    delta: float
    method: str
    domain: Path | None
    target: str
    draft_domain: Path | None
    domain_from_data: bool
    subject: str
    rows: int
    to: Path | None
    force: bool
    as_json: bool
    audit: bool


def run_train(path: str, options: TrainOptions) -> None:
    """Train one model, or draft the domain that it needs."""
    declared = _declared(options)
    if options.draft_domain is not None:
        require_free(options.draft_domain, force=options.force)
        with ending_cleanly():
            _draft(whole_table(path, options.study), options.draft_domain, options)
        return
    wish = _wish(options)
    price(wish)  # all that can be wrong with the wish is found before the data is read
    folder = options.to or Path(f"{'model' if path == STDIN else Path(path).stem}-private")
    for name in _FILES:
        require_free(folder / name, force=options.force)
    if options.audit:
        _audit(wish)
    with ending_cleanly():
        table = whole_table(path, options.study)
        domain = declared or drafted(table, options.target, options.subject).domain
        with output.working("training", quiet=False):
            found = train(table, domain, wish)
        _write(found, folder, options)
        _show(found, folder, options)


# ---- what was asked ----


def _declared(options: TrainOptions) -> Domain | None:
    """The domain of the file; None where it is to be read off the data. Raises: UsageError."""
    ways = [options.domain, options.draft_domain, options.domain_from_data or None]
    if sum(one is not None for one in ways) != 1:
        raise UsageError(
            "bounds and categories must come from somewhere",
            next_step="write a draft with --draft-domain FILE --target COLUMN, correct it, and "
            "give it with --domain FILE",
        )
    if options.domain is not None:
        domain = parse_domain(small_text(options.domain, MAX_CHARACTERS))
        if options.target and options.target != domain.target.name:
            raise UsageError(
                f"the domain says that `{domain.target.name}` is predicted",
                next_step="leave --target out, or draft a domain for the other column",
            )
        return domain
    if not options.target:
        raise UsageError("what shall be predicted?", next_step="name it with --target COLUMN")
    return None


def _wish(options: TrainOptions) -> Wish:
    try:
        method = Method(options.method.lower())
    except ValueError:
        known = ", ".join(one.value for one in Method)
        raise UsageError(f"--method is one of {known}") from None
    if options.rows > 1 and not options.subject:
        raise UsageError("--rows counts the rows of a person", next_step="name the --subject")
    origin = Origin.READ_OFF if options.domain_from_data else Origin.DECLARED
    return Wish(options.epsilon, options.delta, method, options.subject, options.rows, origin)


def _audit(wish: Wish) -> None:
    """Try the trainer on made-up rows. Raises: InternalError, where it breaks its promise."""
    coins = np.random.Generator(np.random.PCG64(secrets.randbits(128)))
    with output.working("auditing", quiet=False):
        found = audit_trainer(wish.method, wish.epsilon, wish.delta, coins=coins)
    if found.refutes:
        raise InternalError(
            f"the trainer tells more than it says: epsilon is at least {found.epsilon:.2f}, and "
            f"{found.claimed:g} was promised",
            next_step="train by another method, and report this: the installed libraries, or this "
            "version, draw too little noise",
        )
    output.words(
        f"audit on made-up rows: {found.right} of {found.guesses} guesses right, which proves "
        f"an epsilon of {found.epsilon:.2f} at least; {found.claimed:g} is promised"
    )


# ---- the file ----


def whole_table(path: str, study: StudyOptions) -> pa.Table:
    """The only table of a file, whole. Raises: ChoiceError, TooLargeError, UsageError."""
    for file, name in one_file(path):
        batches, held, schema = [], 0, None
        with output.working("reading") as tell:
            for table in tables_of(file, name, study):
                if schema is not None:
                    raise ChoiceError("the file holds several tables", next_step="give one of them")
                schema = table.schema
                for batch in table.batches:
                    held += batch.nbytes
                    if held > MAX_HELD_BYTES:
                        raise TooLargeError(
                            f"the table has more than {MAX_HELD_BYTES:,} bytes in memory",
                            next_step="give fewer columns",
                        )
                    batches.append(batch)
                    tell(name, "", table.rows)
        if schema is not None:
            return pa.Table.from_batches(batches, schema)
    raise ChoiceError(f"`{path}` holds no table")


def _draft(table: pa.Table, to: Path, options: TrainOptions) -> None:
    found = drafted(table, options.target, options.subject)
    with draft(to, force=options.force) as file:
        file.write(domain_text(found).encode())
    if options.as_json:
        output.data(found.domain.document() | {"left_out": found.left_out}, as_json=True)
        return
    for name, why in found.left_out.items():
        output.words(f"left out: `{output.clean(name)}`: {why}")
    output.words(f"wrote {to}: its bounds and values are your data's; correct them to what is")
    output.words("publicly known, then train with --domain")


# ---- what comes out ----


def _write(found: PrivateModel, folder: Path, options: TrainOptions) -> None:
    files = found.files()
    if isinstance(found.model, AdditiveModel):
        files[ONNX_NAME] = onnx_bytes(found.model)
    for name, content in files.items():
        with draft(folder / name, force=options.force) as file:
            file.write(content)


def _show(found: PrivateModel, folder: Path, options: TrainOptions) -> None:
    model = found.model
    strength = model.strength() if isinstance(model, AdditiveModel) else {}
    if options.as_json:
        output.data({"folder": str(folder), "strength": strength} | found.record, as_json=True)
        return
    if strength:
        output.data(
            [{"column": name, "moves the score by": f"{width:.3g}"}
             for name, width in list(strength.items())[:_SHOWN]],
            as_json=False,
        )  # fmt: skip
    record = found.record
    output.words(f"epsilon {options.epsilon:g} at delta {options.delta:g} for {record['unit']}")
    if options.domain_from_data:
        output.words("bounds and categories were read off the data: epsilon does not cover them")
    for limit in record["limits"]:
        output.words(f"limit: {limit}")
    output.words(f"wrote the model to {folder}/")
