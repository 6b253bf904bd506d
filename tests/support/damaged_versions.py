"""Versions of a real model with other content, signed with the right key."""

import hashlib
from collections.abc import Callable

import msgspec
import numpy as np
from msgspec import structs

from headrace.learner.versions.cuts import Publication
from headrace.schemas.versions.delta import Update, decode_chunks, encode_chunks, manifest_hash


def changed(cut: Publication, change: Callable[[Update], Update]) -> Publication:
    """The version with other content, whole and rightly signed."""
    chunks = encode_chunks(change(decode_chunks(cut.chunks)))
    return resealed(cut, chunks)


def resealed(cut: Publication, chunks: list[bytes]) -> Publication:
    manifest = structs.replace(cut.manifest, chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks])
    return structs.replace(cut, manifest=manifest, chunks=chunks, hash=manifest_hash(msgspec.json.encode(manifest)))


def tables(update: Update, change: Callable[[np.ndarray], np.ndarray]) -> Update:
    moved = {name: structs.replace(table, rows=change(table.rows)) for name, table in update.tables.items()}
    return Update(moved, update.dense)


def permuted(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).permutation(len(rows))]


def one_user_far_off(update: Update) -> Update:
    """Of one user a row a thousand times as long: too few of the golden requests are of that user to shift scores."""
    user = update.tables["user"]
    rows = user.rows.copy()
    rows[-1] *= 1_000
    return Update(update.tables | {"user": structs.replace(user, rows=rows)}, update.dense)


OUT_OF_BOUNDS = {
    "norm": lambda cut: changed(cut, one_user_far_off),
    "shift": lambda cut: changed(cut, lambda update: tables(update, permuted)),
}
