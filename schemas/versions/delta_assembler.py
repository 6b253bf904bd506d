"""Assembles verified versions from the chunks and manifests of topic `model.deltas`."""

import hashlib

import msgspec

from headrace.schemas.versions.delta import FORMAT, Delta, DeltaError, Manifest, decode_chunks, is_signed, manifest_hash

BUFFER_BYTES = 2 << 30  # chunks that wait for their manifest
_CHUNK_MAGIC = b"\x28\xb5\x2f\xfd"  # of a zstd frame


class DeltaAssembler:
    """Takes messages and returns verified versions. After an error, the chunks of that version are dropped.

    An unsigned manifest does not drop the chunks of a signed version that is still being written.

    The assembler follows one chain: it ignores versions up to the last one it returned, and the next must name that
    one as its parent. A version of a later epoch without a parent holds the whole model and starts a new chain.
    """

    def __init__(self, *, key: bytes, schema: str, model: str) -> None:
        self._key = key
        self._model = model
        self._schema = schema
        self._chunks: dict[str, bytes] = {}
        self._buffered_bytes = 0
        self._version = (0, 0)
        self._hash = ""

    def resume(self, *, epoch: int, seq: int, digest: str) -> None:
        """Continue after a version that was loaded from a snapshot."""
        self._version, self._hash = (epoch, seq), digest

    def feed(self, payload: bytes) -> Delta | None:
        """Read one message; returns a version if this was its manifest and it is the next one.

        Raises:
            DeltaError: the version must not be applied; `check` says why.
        """
        if payload.startswith(_CHUNK_MAGIC):
            return self._keep(payload)
        manifest, digest = self._signed(payload)
        held, self._chunks, self._buffered_bytes = self._chunks, {}, 0
        if (manifest.epoch, manifest.seq) <= self._version:
            return None
        missing = [name for name in manifest.chunks if name not in held]
        if missing:
            message = f"version {manifest.version} lists {len(missing)} chunks that did not arrive, first {missing[0]}"
            raise DeltaError(message, check="hash")
        self._check_follows(manifest)
        update = decode_chunks([held[name] for name in manifest.chunks])
        self.resume(epoch=manifest.epoch, seq=manifest.seq, digest=digest)
        return Delta(manifest, digest, update)

    def verifies(self, payload: bytes) -> bool:
        """Whether a message is a manifest of this model that is signed with this key."""
        try:
            self._signed(payload)
        except DeltaError:
            return False
        return True

    def _keep(self, chunk: bytes) -> None:
        self._buffered_bytes += len(chunk)
        if self._buffered_bytes > BUFFER_BYTES:
            self._chunks, self._buffered_bytes = {}, 0
            message = f"more than {BUFFER_BYTES} bytes of chunks without a manifest"
            raise DeltaError(message, check="format")
        self._chunks[hashlib.sha256(chunk).hexdigest()] = chunk

    def _signed(self, payload: bytes) -> tuple[Manifest, str]:
        digest = manifest_hash(payload)
        try:
            manifest = msgspec.json.decode(payload, type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"not a manifest ({error})"
            raise DeltaError(message, check="format") from error
        if manifest.format != FORMAT:
            message = f"version {manifest.version} has format {manifest.format}, this reader knows {FORMAT}; update it"
            raise DeltaError(message, check="format")
        if not is_signed(manifest, digest, self._key):
            message = f"version {manifest.version} is not signed with this key; check HEADRACE_MODEL_KEY on both sides"
            raise DeltaError(message, check="signature")
        if manifest.model != self._model:
            message = f"version {manifest.version} is of model {manifest.model!r}, this reader follows {self._model!r}"
            raise DeltaError(message, check="model")
        return manifest, digest

    def _check_follows(self, manifest: Manifest) -> None:
        if manifest.schema != self._schema:
            message = f"version {manifest.version} has schema {manifest.schema}, this reader {self._schema}"
            raise DeltaError(message, check="schema")
        fresh = not manifest.parent and manifest.epoch > self._version[0]
        if manifest.parent != self._hash and not fresh:
            epoch, seq = self._version
            message = (
                f"version {manifest.version} follows {manifest.parent[:12] or 'nothing'}, "
                f"this reader is at {epoch}.{seq} ({self._hash[:12] or 'nothing'}); load the latest snapshot"
            )
            raise DeltaError(message, check="parent")
