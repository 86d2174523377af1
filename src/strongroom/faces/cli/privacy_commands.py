"""The commands `discover` and `mask`: their options and help. The work is done elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.errors import UsageError
from strongroom.faces.cli.options import Json

if TYPE_CHECKING:
    from strongroom.faces.cli.files import WalkLimits

_READING = "How files are read"
_SAFETY = "Output"

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, folders, or `-` for stdin.")
]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="FORM", rich_help_panel=_READING,
                 help="csv, jsonl, parquet, text, …; found from the content where not given."),
]  # fmt: skip
Sample = Annotated[
    str,
    typer.Option("--sample", metavar="ROWS", rich_help_panel=_READING,
                 help="Rows of each table to look at, or `all`."),
]  # fmt: skip
Types = Annotated[
    Path | None, typer.Option("--types", metavar="FILE", help="Types of your own, as TOML.")
]
NoModel = Annotated[
    bool,
    typer.Option("--no-model", help="Find names in texts by rules only: faster, finds less."),
]
Subject = Annotated[
    str | None,
    typer.Option("--subject", metavar="COLUMN", help="The column that says whom a row is about."),
]
Force = Annotated[
    bool, typer.Option("--force", rich_help_panel=_SAFETY, help="Replace what is there.")
]
MaxFiles = Annotated[
    int,
    typer.Option("--max-files", min=1, max=10_000_000, rich_help_panel=_READING,
                 help="Files to read at most."),
]  # fmt: skip
MaxBytes = Annotated[
    int,
    typer.Option("--max-bytes", min=1, rich_help_panel=_READING,
                 help="Larger files are left out and count as unread."),
]  # fmt: skip
MaxDepth = Annotated[
    int,
    typer.Option("--max-depth", min=1, max=1_000, rich_help_panel=_READING,
                 help="Folders in folders to go into."),
]  # fmt: skip
MaxSeconds = Annotated[
    float,
    typer.Option("--max-seconds", min=0, rich_help_panel=_READING,
                 help="For one file; 0 for no limit."),
]  # fmt: skip
Trusted = Annotated[
    bool,
    typer.Option("--trusted", rich_help_panel=_READING,
                 help="Read Parquet and Arrow without the sandbox: faster, for files of your own."),
]  # fmt: skip
Policy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="What is done to which type, as TOML."),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", rich_help_panel=_SAFETY,
                 help="Write a page with pictures; it holds no value."),
]  # fmt: skip


def discover(
    paths: Paths,
    form: As = None,
    types: Types = None,
    no_model: NoModel = False,
    sample: Sample = "2000",
    subject: Subject = None,
    html: Html = None,
    policy: Policy = None,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="ROLE,…",
            help="Exit 6 for secret, direct, special, quasi, any, or a type's name.",
        ),
    ] = "never",
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            min=0.0,
            max=1.0,
            help="Leave out findings less sure; --fail-on alone takes 0.8.",
        ),
    ] = None,
    suggest: Annotated[
        str | None,
        typer.Option(
            "--suggest",
            metavar="COLUMN",
            help="Print a type of your own (TOML) for what this column of one file holds.",
        ),
    ] = None,
    force: Force = False,
    max_files: MaxFiles = 10_000,
    max_bytes: MaxBytes = 1 << 40,
    max_depth: MaxDepth = 64,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Find the personal data in files and folders; no server, no network, no value shown.

    \b
    strongroom discover patients.csv
    strongroom discover exports/ --html report.html
    strongroom discover . --fail-on secret,direct        # in CI: exit 6 where there is any
    strongroom discover visits.csv --suggest study_code >> types.toml
    zcat visits.csv.gz | strongroom discover - --as csv --json

    Reads CSV, JSON, Parquet, Arrow, Excel, text, logs, e-mail, and archives of them.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.faces.cli.discover import DiscoverOptions, run_discover
    from strongroom.faces.cli.masking import masking_for_report
    from strongroom.faces.cli.study import study_options

    limits = _limits(max_files, max_bytes, max_depth)
    study = study_options(
        form, types, sample, subject,
        model=not no_model, seconds=max_seconds, trusted=trusted,
    )  # fmt: skip
    if suggest is not None:
        from strongroom.faces.cli.suggesting import run_suggest

        chosen = [Path(path) for path in paths]
        raise typer.Exit(run_suggest(chosen, suggest, study, limits, as_json=as_json))
    masking = masking_for_report(policy, study) if html is not None else None
    options = DiscoverOptions(study, limits, fail_on, min_confidence, html, force, masking, as_json)
    raise typer.Exit(run_discover([Path(path) for path in paths], options))


def _limits(files: int, file_bytes: int, depth: int) -> "WalkLimits":
    from strongroom.faces.cli.files import WalkLimits

    return WalkLimits(files=files, file_bytes=file_bytes, depth=depth)


def mask(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="A file, a folder, or `-` for stdin.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            rich_help_panel=_SAFETY,
            help="File or folder to write; its ending says the form.",
        ),
    ] = None,
    form_to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORM",
            rich_help_panel=_SAFETY,
            help="csv, tsv, jsonl, json, parquet, arrow, xlsx, eml, mbox; else as it was read.",
        ),
    ] = None,
    policy: Policy = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what would happen, on ten rows; write nothing."),
    ] = False,
    show_values: Annotated[
        bool,
        typer.Option(
            "--show-values", help="With --explain: rows also where stdout is no terminal."
        ),
    ] = False,
    default_policy: Annotated[
        bool, typer.Option("--default-policy", help="Print the built-in policy and end.")
    ] = False,
    new_key: Annotated[
        Path | None,
        typer.Option("--new-key", metavar="FILE", help="Write a new key for --key-file and end."),
    ] = None,
    key_file: Annotated[
        str | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="Key of pseudonyms, or `-`; else a random one, forgotten at the end.",
        ),
    ] = None,
    purpose: Annotated[
        str,
        typer.Option("--purpose", help="What the data is for: pseudonyms match within it only."),
    ] = "",
    token_vault: Annotated[
        Path | None,
        typer.Option(
            "--token-vault",
            metavar="FILE",
            help="Sealed file of tokens, made where it is not there.",
        ),
    ] = None,
    reveal: Annotated[
        bool,
        typer.Option(
            "--reveal", help="Turn tokens back instead; needs the vault, its key and purpose."
        ),
    ] = False,
    form: As = None,
    types: Types = None,
    no_model: NoModel = False,
    sample: Sample = "2000",
    subject: Subject = None,
    html: Html = None,
    force: Force = False,
    max_files: MaxFiles = 10_000,
    max_bytes: MaxBytes = 1 << 40,
    max_depth: MaxDepth = 64,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Write a copy of a file or folder with its personal data masked.

    \b
    strongroom mask patients.csv --explain               # what would happen; writes nothing
    strongroom mask patients.csv -o masked.parquet
    strongroom mask --default-policy > ours.toml         # a policy to start from
    strongroom mask --new-key key
    strongroom mask exports/ -o masked/ --policy ours.toml --key-file key --purpose research

    Equal values get equal pseudonyms in all files under one key and purpose. Mail stays mail,
    without its attachments, and a workbook one, without its formulas; --to says another form.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.faces.cli.mask import run_mask
    from strongroom.faces.cli.mask_file import MaskOptions
    from strongroom.faces.cli.masked_files import stated_form
    from strongroom.faces.cli.masking import make_key, masking_of, print_default_policy
    from strongroom.faces.cli.study import study_options

    if default_policy:
        print_default_policy()
        return
    if new_key is not None:
        make_key(new_key)
        return
    study = study_options(
        form, types, sample, subject,
        model=not no_model, seconds=max_seconds, trusted=trusted,
    )  # fmt: skip
    if path == key_file == "-":
        raise UsageError("stdin is either what is masked or the key, not both")
    limits = _limits(max_files, max_bytes, max_depth)
    key_path = Path(key_file) if key_file not in {None, "-"} else None
    beside = tuple(one for one in (token_vault, key_path, policy, types) if one is not None)
    if reveal:
        from strongroom.faces.cli.revealing import RevealOptions, run_reveal

        turning = RevealOptions(study, limits, to, force, beside)
        raise typer.Exit(
            run_reveal(path, turning, key_file=key_file, purpose=purpose, vault=token_vault)
        )
    masking = masking_of(policy, study, key_file=key_file, purpose=purpose, vault=token_vault)
    options = MaskOptions(
        study, limits, masking, to, stated_form(form_to), html, force, explain, show_values,
        as_json, beside,
    )  # fmt: skip
    raise typer.Exit(run_mask(path, options))
