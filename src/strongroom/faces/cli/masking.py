"""Masking offline: policy, key, purpose and token vault; a table's plan, and its effect."""

import fcntl
import os
import secrets
import stat
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.privacy.mask.default_policy import DEFAULT_POLICY, default_policy
from strongroom.engines.privacy.mask.hiding import count_values
from strongroom.engines.privacy.mask.keys import (
    MIN_KEY_BYTES,
    key_from_text,
    new_key_text,
    purpose_key,
    subkey,
)
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches, plan_masks
from strongroom.engines.privacy.mask.policy import LinkScope, MaskPolicy, MaskRule, Method
from strongroom.engines.privacy.mask.policy_file import MAX_POLICY_CHARACTERS, parse_policy
from strongroom.engines.privacy.mask.texts import TextMasker
from strongroom.engines.privacy.mask.tokens import TokenFile
from strongroom.engines.privacy.report.contents import MaskEffect
from strongroom.engines.privacy.report.effect import mask_effect
from strongroom.engines.reading.types import Form
from strongroom.errors import BusyError, CallerError, ConflictError, TooLargeError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.drafts import draft
from strongroom.faces.cli.options import secret
from strongroom.faces.cli.study import StudyOptions, TableStudy, small_text

BUILT_IN = "the built-in policy"
TEXT_FORMS = frozenset({Form.TEXT, Form.LOG})
_SPOKEN_FORMS = TEXT_FORMS | {Form.EML, Form.MBOX}
_SPOKEN_COLUMNS = ("text", "line", "body", "subject")
"""What the reader calls the columns of running text."""
_MADE_UP = frozenset({Method.STAND_IN.value, Method.TOKENIZE.value, Method.HASH.value})
_MAX_VAULT_BYTES = 1 << 30
_VAULT_CONTEXT = b"strongroom token file/1"


class VaultFile:
    """Tokens in one sealed file, for one key and purpose."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = subkey(key, "token file")
        self._saved = 0
        self.tokens = TokenFile()
        self._seen = self._load()

    def _load(self, seen: object = None) -> object:
        """Read the tokens, unless the file is still the one that was `seen`; which one it is.

        Raises: TamperedError, TooLargeError, CallerError.
        """
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                identity = (found.st_ino, found.st_size, found.st_mtime_ns)
                if identity == seen:
                    return seen
                if not stat.S_ISREG(found.st_mode):
                    raise CallerError(f"`{self._path}` is no file, and so no token vault")
                if found.st_size > _MAX_VAULT_BYTES:
                    raise TooLargeError(f"`{self._path}` has more than {_MAX_VAULT_BYTES:,} bytes")
                self.tokens = TokenFile.opened(file.read(_MAX_VAULT_BYTES), self._open)
        except FileNotFoundError:
            return None  # made when it is first saved
        except OSError as error:
            raise CallerError(f"cannot read `{self._path}`: {error.strerror}") from None
        return identity

    def _open(self, content: bytes) -> bytes:
        return b"".join(open_stream(self._key, _VAULT_CONTEXT, [content]))

    def _seal(self, content: bytes) -> bytes:
        return b"".join(seal_stream(self._key, _VAULT_CONTEXT, [content]))

    def save(self) -> None:
        """Keep what was drawn since the last time; to be done before masked data is let out."""
        if self.tokens.drawn > self._saved or not self._path.exists():
            with draft(self._path, force=True) as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(self.tokens.sealed(self._seal))
            self._saved = self.tokens.drawn

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from the vault meanwhile: of two writers one would lose tokens.

        What another command has written since the vault was opened is read first.
        """
        try:
            folder = os.open(self._path.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CallerError(f"cannot use `{self._path}`: {error.strerror}") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._seen = self._load(self._seen)
            yield
        except BlockingIOError:
            raise BusyError(
                f"another command uses the token vault `{self._path}`",
                next_step="wait until it has ended",
            ) from None
        finally:
            os.close(folder)


@dataclass(frozen=True)
class Masking:
    """How tables are masked in one run.

    Attributes:
        name: of the policy, in words.
        key: of this run's purpose.
        is_random: the key is forgotten at the end.
    """

    policy: MaskPolicy
    name: str
    key: bytes
    is_random: bool
    study: StudyOptions
    vault: VaultFile | None = None

    def policy_for(self, form: Form) -> MaskPolicy:
        """The policy for files of a form.

        Of texts and messages the built-in one masks what is found in them: it would leave nothing
        of them otherwise.
        """
        if self.name != BUILT_IN or form not in _SPOKEN_FORMS:
            return self.policy
        spans = MaskRule(Method.MASK_SPANS)
        return replace(self.policy, columns=dict.fromkeys(_SPOKEN_COLUMNS, spans))

    def plan(self, looked: TableStudy) -> MaskPlan:
        """The plan for one table."""
        subject = self.study.subject or None
        if subject not in looked.schema.names:
            subject = None
        return plan_masks(
            looked.schema, looked.findings, self.policy_for(looked.form), subject,
            table=looked.name, counts=count_values(looked.sample, subject),
        )  # fmt: skip

    def masked(self, batches: Iterable[pa.RecordBatch], plan: MaskPlan) -> Iterator[pa.RecordBatch]:
        """Batches, masked."""
        tokens = self.vault.tokens if self.vault is not None else None
        finder = self.study.finder() if plan.uses_finder else None
        return mask_batches(batches, plan, self.key, tokens=tokens, finder=finder)

    def text_masker(self, form: Form) -> TextMasker:
        """Masks running text."""
        tokens = self.vault.tokens if self.vault is not None else None
        return TextMasker(self.policy_for(form), self.key, self.study.finder(), tokens=tokens)


def masking_of(
    policy: Path | None,
    study: StudyOptions,
    *,
    key_file: str | None = None,
    purpose: str = "",
    vault: Path | None = None,
) -> Masking:
    """What the command line asks for.

    Raises:
        UsageError: no such file, or a token vault without a key that lasts.
        ValidationError: a policy or key that is none.
        TamperedError: the token vault was changed, or is of another key or purpose.
    """
    chosen, name = default_policy(), BUILT_IN
    if policy is not None:
        text = small_text(policy, MAX_POLICY_CHARACTERS)
        chosen = parse_policy(text, custom_types=[one.name for one in study.custom])
        _refuse_link(text)
        name = f"`{output.clean(policy.name)}`"
    if key_file is None:
        if vault is not None:
            raise UsageError(
                "a token vault is sealed under a key that lasts",
                next_step="give --key-file; --new-key makes one",
            )
        key = secrets.token_bytes(MIN_KEY_BYTES)
    else:
        key = key_from_text(secret("key", key_file))
    key = purpose_key(key, purpose)
    opened = VaultFile(vault, key) if vault is not None else None
    if opened is None and chosen.uses_tokens:
        raise UsageError(
            f"{name} draws tokens, and there is no vault to keep them",
            next_step="give --token-vault FILE and --key-file FILE",
        )
    return Masking(chosen, name, key, key_file is None, study, opened)


def _refuse_link(text: str) -> None:
    """A policy that keeps datasets apart would not be obeyed here. Raises: UsageError."""
    if tomllib.loads(text).get("keys", {}).get("link") == LinkScope.DATASET.value:
        raise UsageError(
            '`keys.link = "dataset"` is for datasets on a server: here equal values match in all '
            "files under one key and purpose",
            next_step="leave it out, and keep files apart by --purpose or another key",
        )


def opened_vault(vault: Path | None, key_file: str | None, purpose: str) -> TokenFile:
    """The tokens of a vault that is there.

    Raises:
        UsageError: no vault, or no key.
        TamperedError: it was changed, or is of another key or purpose.
    """
    if vault is None or key_file is None:
        raise UsageError(
            "tokens are turned back by the vault and the key under which they were drawn",
            next_step="give --token-vault FILE, --key-file FILE and the same --purpose",
        )
    if not vault.is_file():
        raise UsageError(f"there is no token vault `{vault}`", next_step="check the path")
    key = purpose_key(key_from_text(secret("key", key_file)), purpose)
    return VaultFile(vault, key).tokens


def masking_for_report(policy: Path | None, study: StudyOptions) -> Masking:
    """What the page of `discover` compares with: nothing is written with it."""
    return masking_of(policy, study)


def effect_of(looked: TableStudy, masking: Masking) -> MaskEffect:
    """One table before and after, measured on its sample."""
    plan = masking.plan(looked)
    masked = pa.Table.from_batches(masking.masked(looked.sample.to_batches(), plan), plan.schema)
    methods = {mask.column: (mask.rule.method.value, mask.reason) for mask in plan.masks}
    return mask_effect(
        looked.sample, masked, looked.findings, masking.study.findings(masked), methods,
        policy=masking.name, made_up=_MADE_UP,
    )  # fmt: skip


def print_default_policy() -> None:
    """The built-in policy on stdout, to start from."""
    sys.stdout.write(DEFAULT_POLICY)


def make_key(path: Path) -> None:
    """Write a new key, readable by its owner only. Raises: ConflictError where one is there."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConflictError(
            f"`{path}` is there already", next_step="give another name: a lost key ends all links"
        ) from None
    except OSError as error:
        raise CallerError(f"cannot write `{path}`: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(new_key_text())
        file.flush()
        os.fsync(file.fileno())
    output.words(
        f"new key in {output.clean(str(path))}: who has it can link what is masked under it"
    )
