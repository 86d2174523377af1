"""Methods that move values: dates by days of a subject's own, numbers by noise."""

import hmac
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB

from strongroom.engines.privacy.mask.arrays import Array, as_text, is_text
from strongroom.engines.privacy.mask.keys import require_key, subkey
from strongroom.engines.privacy.mask.policy import MaskRule

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_BLOCK = 16
_DAY_SECONDS = 86_400
_DAY_MICROSECONDS = 86_400_000_000
_DATE_FORMS = (
    (r"^\d{4}-\d{2}-\d{2}$", "%Y-%m-%d"),
    (r"^\d{4}/\d{2}/\d{2}$", "%Y/%m/%d"),
    (r"^(?:1[89]|20)\d{6}$", "%Y%m%d"),
    (r"^\d{2}\.\d{2}\.\d{4}$", "%d.%m.%Y"),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", "%Y-%m-%dT%H:%M:%S"),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$", "%Y-%m-%dT%H:%M:%SZ"),
    (r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", "%Y-%m-%d %H:%M:%S"),
)
"""Texts that are dates in one reading only, and how they are written."""


def shift_dates(values: Array, subjects: Array, key: bytes, rule: MaskRule) -> Array:
    """Dates moved by -max_days … max_days days, never by 0, the same for all of one subject.

    Distances between the dates of one subject stay true. A row without a subject loses its
    dates: nothing says by how much they should move. Texts are moved where they are dates of the
    forms `2020-12-31` (also with a time), `2020/12/31`, `20201231` or `31.12.2020`, keep their
    form, and become null elsewhere: whether `03/04/2020` is in March, nobody can say.
    """
    days = subject_shifts(subjects, key, rule.max_days)
    kind = values.type
    if is_text(kind):
        return _shifted_texts(pc.utf8_trim_whitespace(as_text(values)), days)
    moments = values.cast(pa.timestamp("us"), safe=False)
    moved = pc.add(moments, pc.multiply(days, _DAY_MICROSECONDS).cast(pa.duration("us")))
    shifted: Array = moved.cast(kind, safe=False)
    return shifted


def _shifted_texts(texts: Array, days: Array) -> "pa.Array[Any]":
    by = pc.multiply(days, _DAY_SECONDS).cast(pa.duration("s"))
    written: pa.Array[Any] = pa.nulls(len(texts), pa.string())
    for pattern, form in _DATE_FORMS:
        of_form = pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)
        if of_form.null_count < len(texts):
            moments = pc.strptime(of_form, format=form, unit="s", error_is_null=True)
            written = pc.coalesce(written, pc.strftime(pc.add(moments, by), format=form))
    return written


def subject_shifts(subjects: Array, key: bytes, max_days: int) -> "pa.Array[Any]":
    """Days by which the dates of each row's subject move, int64, null without a subject."""
    require_key(key)
    encoded = as_text(subjects).dictionary_encode()

    def days(text: str) -> int | None:
        if not text.strip():
            return None
        digest = hmac.digest(key, b"\0date shift\0" + text.strip().encode(), "sha256")
        # 2**64 is so much larger than the range that the bias is below 2**-50.
        step = int.from_bytes(digest[:8], "big") % (2 * max_days)
        return step - max_days if step < max_days else step - max_days + 1

    table = pa.array([days(str(text)) for text in encoded.dictionary.to_pylist()], pa.int64())
    return table.take(encoded.indices)


def add_noise(values: Array, rule: MaskRule, key: bytes, domain: str, first_row: int) -> Array:
    """Numbers moved by normal noise with the standard deviation `spread`.

    Equal values move alike (`per = "value"`), or each row by itself (`per = "row"`, the same again
    for the same row under the same key). Whole numbers stay whole. It hides the last digits of a
    value, not a person: this is not differential privacy, and averages over `per = "row"` come
    close to the truth.

    Args:
        values: numbers.
        rule: `spread`, `decimals`, `per`.
        key: at least 32 bytes.
        domain: columns of different domains move independently.
        first_row: rows of the table before the first of these.
    """
    require_key(key)
    noise_key = subkey(key, f"noise/{rule.per}/{domain}")
    floats = values.cast(pa.float64(), safe=False)
    if rule.per == "row":
        noise = pa.array(_normal(_keystream(noise_key, first_row, len(floats))))
    else:
        noise = pa.array(_normal(_block_of_each(noise_key, floats)))
    moved = pc.add(floats, pc.multiply(noise, rule.spread))
    if pa.types.is_integer(values.type):
        whole: Array = pc.round(moved).cast(pa.int64(), safe=False)
        return whole
    rounded: Array = moved if rule.decimals < 0 else pc.round(moved, ndigits=rule.decimals)
    return rounded


def _keystream(key: bytes, first_block: int, blocks: int) -> bytes:
    """Random bytes that only the key tells: AES-256 in counter mode, a block a row.

    Source: NIST SP 800-38A, section 6.5.
    """
    encryptor = Cipher(AES256(key), CTR(first_block.to_bytes(_BLOCK, "big"))).encryptor()
    return encryptor.update(bytes(_BLOCK * blocks)) + encryptor.finalize()


def _block_of_each(key: bytes, values: Array) -> bytes:
    """16 bytes for each number that only the key tells, the same for equal numbers.

    AES-256 on one block is a pseudorandom permutation; as no two numbers share a block, and equal
    ones are meant to look equal, one call encrypts them all.
    """
    numbers = np.asarray(pc.fill_null(values, 0.0), dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    blocks = np.zeros((len(numbers), 2), dtype=np.float64)
    blocks[:, 0] = np.where(np.isnan(numbers), np.nan, numbers)
    encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 # blocks, not a message
    return encryptor.update(blocks.tobytes()) + encryptor.finalize()


def _normal(random: bytes) -> npt.NDArray[np.float64]:
    """A standard normal number from each 16 random bytes (Box & Muller 1958)."""
    pairs = np.frombuffer(random, dtype=">u8").astype(np.uint64).reshape(-1, 2)
    # 53 bits, as many as a float holds; the first is never 0, for it has no logarithm.
    uniform = ((pairs >> np.uint64(11)).astype(np.float64) + np.array([1.0, 0.0])) / 2.0**53
    normal: npt.NDArray[np.float64] = np.sqrt(-2.0 * np.log(uniform[:, 0])) * np.cos(
        2.0 * np.pi * uniform[:, 1]
    )
    return normal
