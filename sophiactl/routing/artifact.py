"""The file a router is kept in: a JSON header with where it comes from, then packed arrays, then a checksum.

    "SOPHIART" · format (uint16) · size of the header (uint32) · header · float32 arrays, little endian · crc32 (uint32)

The checksum guards against damage, not against malice; nothing in the file is executed.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from math import isfinite
from typing import TYPE_CHECKING, Final

import msgspec

from sophiactl.errors import ConfigError, InputError, NotFound, SophiaError
from sophiactl.routing.base import Thresholds
from sophiactl.routing.features import BUCKETS, FEATURE_NAMES, FEATURE_VERSION
from sophiactl.whole_file import whole_file

if TYPE_CHECKING:
    from pathlib import Path

MAGIC: Final = b"SOPHIART"
FORMAT: Final = 1
_HEAD = struct.Struct("<8sHI")
_TAIL = struct.Struct("<I")
_LIMIT = 16 * 1024 * 1024
_RETRAIN = "train it again with this version: sophiactl route train --data FILE --output ARTIFACT"


class Source(msgspec.Struct, frozen=True):
    """Rows an artifact was made from: a name, how many, and the sha256 of the file."""

    name: str
    rows: int
    sha256: str


class Calibration(msgspec.Struct, frozen=True):
    """Where scores lie: nine ascending deciles, and the thresholds of the tiers; `note` says what they were set on."""

    deciles: tuple[float, ...]
    thresholds: Thresholds
    note: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an artifact says of itself. `created` is ISO 8601 in UTC; `settings` are those of the training."""

    name: str
    version: str
    created: str
    feature_version: int
    features: tuple[str, ...]
    buckets: int
    bias: float
    scale: float
    sources: tuple[Source, ...]
    settings: dict[str, str | int | float | bool]
    calibration: Calibration


class Artifact(msgspec.Struct, frozen=True):
    """A trained router.

    `value = bias + sum(weight * (feature - mean) / spread) + sum(terms[bucket] * share)`, and the score is
    `logistic(value / scale)`.
    Features are held within three spreads of the mean. `terms` is empty for a prior without words of its own.
    """

    header: Header
    mean: array[float]
    spread: array[float]
    weights: array[float]
    terms: array[float]

    @property
    def label(self) -> str:
        """Name and version, as decisions and the ledger give it."""
        return f"{self.header.name}@{self.header.version}"


def dump(artifact: Artifact) -> bytes:
    """The bytes of an artifact; the same artifact gives the same bytes."""
    header = msgspec.json.encode(artifact.header)
    arrays = b"".join(_packed(values) for values in (artifact.mean, artifact.spread, artifact.weights, artifact.terms))
    body = _HEAD.pack(MAGIC, FORMAT, len(header)) + header + arrays
    return body + _TAIL.pack(zlib.crc32(body))


def parse(data: bytes, origin: str) -> Artifact:
    """Read an artifact; ConfigError when it is of another version, InputError when it is damaged."""
    _check_frame(data, origin)
    size = _HEAD.unpack_from(data)[2]
    try:
        header = msgspec.json.decode(data[_HEAD.size : _HEAD.size + size], type=Header)
    except msgspec.MsgspecError as error:
        raise InputError(f"{origin}: the header cannot be read: {error}", hint=_RETRAIN) from error
    _check_features(header, origin)
    values = _unpacked(data[_HEAD.size + size : -_TAIL.size], origin)
    count = len(header.features)
    if len(values) != 3 * count + header.buckets:
        raise InputError(f"{origin}: {len(values)} weights where the header promises others", hint=_RETRAIN)
    parts = (values[:count], values[count : 2 * count], values[2 * count : 3 * count], values[3 * count :])
    return checked(Artifact(header, *parts), origin)


def load(path: Path) -> Artifact:
    """Read the artifact of a file; NotFound when there is none."""
    try:
        if path.stat().st_size > _LIMIT:
            raise InputError(f"{path} is too large for a router artifact", hint="name the file that route train wrote")
        return parse(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise NotFound(f"no router artifact at {path}", hint="make one: sophiactl route train") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="name the file that route train wrote"
        ) from error


def save(artifact: Artifact, path: Path) -> None:
    """Write an artifact so that a reader sees the old file or the whole new one."""
    data = dump(checked(artifact, str(path)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, durable=True) as file:
            file.write(data)
    except OSError as error:
        raise SophiaError(f"{path} cannot be written: {error.strerror}", hint="choose another --output") from error


def checked(artifact: Artifact, origin: str) -> Artifact:
    """The artifact itself, if every number in it can be used; else InputError."""
    header = artifact.header
    numbers = (artifact.mean, artifact.spread, artifact.weights, artifact.terms)
    deciles = header.calibration.deciles
    low, high = header.calibration.thresholds.balanced, header.calibration.thresholds.premium
    finite = all(isfinite(sum(values)) for values in numbers) and isfinite(header.bias) and header.scale > 0
    if not finite or min(artifact.spread, default=1.0) <= 0:
        raise InputError(f"{origin}: weights are not finite numbers", hint=_RETRAIN)
    ordered = list(deciles) == sorted(deciles) and len(deciles) == 9 and 0 <= low <= high <= 1
    if not ordered:
        raise InputError(f"{origin}: the calibration is out of order", hint="sophiactl route calibrate --data FILE")
    return artifact


def _check_frame(data: bytes, origin: str) -> None:
    if len(data) < _HEAD.size + _TAIL.size or not data.startswith(MAGIC):
        raise InputError(f"{origin} is no router artifact", hint="name the file that route train wrote")
    _, version, size = _HEAD.unpack_from(data)
    if version != FORMAT:
        raise ConfigError(f"{origin} has format {version}, this program reads {FORMAT}", hint=_RETRAIN)
    damaged = zlib.crc32(data[: -_TAIL.size]) != _TAIL.unpack_from(data, len(data) - _TAIL.size)[0]
    if damaged or _HEAD.size + size + _TAIL.size > len(data):
        raise InputError(f"{origin} is truncated or damaged: its checksum does not fit", hint=_RETRAIN)


def _check_features(header: Header, origin: str) -> None:
    same = header.feature_version == FEATURE_VERSION and header.features == FEATURE_NAMES
    if not same or header.buckets not in {0, BUCKETS}:
        raise ConfigError(f"{origin} was trained on other features (version {header.feature_version})", hint=_RETRAIN)


def _packed(values: array[float]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _unpacked(data: bytes, origin: str) -> array[float]:
    if len(data) % 4:
        raise InputError(f"{origin} is truncated or damaged", hint=_RETRAIN)
    values = array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values
