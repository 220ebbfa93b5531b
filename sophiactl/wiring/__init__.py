"""From settings to the objects a verb needs. The only place that picks implementations."""

from __future__ import annotations

import os
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING

from sophiactl.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sophiactl.embedding.base import ModelInfo, TextEmbedder
    from sophiactl.embedding.ledger import JobLedger
    from sophiactl.llm.base import ChatModel
    from sophiactl.locks import FileLock
    from sophiactl.memory.base import CollectionSchema, Store
    from sophiactl.model import Clock
    from sophiactl.paths import Paths
    from sophiactl.secrets.base import SourceName
    from sophiactl.settings import Settings
    from sophiactl.wiring.connectors import ConnectorParts
    from sophiactl.wiring.models import ModelParts
    from sophiactl.wiring.secrets import Reach, SecretParts


class Wiring:
    """The parts of one run. Heavy ones are made when first asked for; clock, ids and embedder can be replaced."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        env: Mapping[str, str] = os.environ,
        clock: Clock = utc_now,
        new_id: Callable[[], str] = lambda: os.urandom(6).hex(),
        embedder: TextEmbedder | None = None,
        providers: Mapping[str, ChatModel] | None = None,
        cwd: str = ".",
        profile: str = "",
        sources: Sequence[SourceName] = (),
        reach: Reach = "everywhere",
        secret_ages: bool = False,
    ) -> None:
        self.settings = settings
        self.paths = paths
        self.new_id = new_id
        self._env = env
        self._clock = clock
        self._providers = providers
        self._ages = secret_ages
        self._where = (cwd, profile, tuple(sources), reach)
        self._embedders: dict[bool, TextEmbedder] = {} if embedder is None else {False: embedder, True: embedder}

    @cached_property
    def models(self) -> ModelParts:
        """The router, the providers and the ledger of runs."""
        from sophiactl.wiring.models import ModelParts

        return ModelParts(self.settings, self.paths.state, self.secrets, self._providers)

    @cached_property
    def secrets(self) -> SecretParts:
        """Where secrets come from."""
        from sophiactl.wiring.secrets import SecretParts

        folder, profile, only, reach = self._where
        return SecretParts(
            self.settings,
            self.paths,
            self._env,
            folder=folder,
            profile=profile,
            only=only,
            reach=reach,
            ages=self._ages,
        )

    @cached_property
    def connectors(self) -> ConnectorParts:
        """The company's services."""
        from sophiactl.wiring.connectors import ConnectorParts

        return ConnectorParts(self.settings.connectors, self.secrets, self._clock, self.paths.state)

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        return self._clock

    @property
    def collection(self) -> str:
        """The collection in use."""
        return self.settings.memory.collection

    def now(self) -> str:
        """The time as records hold it: ISO 8601 in UTC, to the second."""
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def embedder(self, *, bulk: bool = False) -> TextEmbedder:
        """The text embedder; `bulk` says that many texts will come. Raises `ModelError` and `ExtraMissing`."""
        if bulk not in self._embedders:
            from sophiactl.embedding.engines import load_embedder

            self._embedders[bulk] = load_embedder(self.settings.embedding, self.paths.cache, bulk=bulk)
        return self._embedders[bulk]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the embedding model counts them."""
        return self.embedder(bulk=True).count_tokens(texts)

    @cached_property
    def model(self) -> ModelInfo:
        """Identity of the embedding model, without loading a runtime. Raises `ModelError`."""
        from sophiactl.embedding.engines import model_info

        made = next(iter(self._embedders.values()), None)
        return made.info if made is not None else model_info(self.settings.embedding, self.paths.cache)

    @cached_property
    def schema(self) -> CollectionSchema:
        """What a collection made now would be made with."""
        from sophiactl.memory.base import CollectionSchema

        model = self.model
        return CollectionSchema(
            model=model.name,
            revision=model.revision,
            dimension=model.dimension,
            language=self.settings.memory.language,
        )

    def store(self, *, purpose: str, create: bool = False) -> Store:
        """Open the memory; with `create` a missing collection is made, else it is `NotFound`.

        Raises `Locked`, `StoreMismatch` when it was made with another model, `Unreachable` and `AuthError`.
        """
        from sophiactl.registry import STORES, load

        memory = self.settings.memory
        store: Store
        if memory.url:
            store = load(STORES, "server", "store").open(
                memory.url,
                memory.collection,
                self.schema,
                create=create,
                api_key=self.secrets.mapping([memory.api_key_name]).get(memory.api_key_name),
            )
        else:
            store = load(STORES, "edge", "store").open(
                self.memory_folder,
                memory.collection,
                self.schema,
                create=create,
                lock_timeout=memory.lock_timeout,
                purpose=f"sophiactl {purpose}",
            )
        return store

    @property
    def memory_folder(self) -> Path:
        """Where the embedded store keeps its collections."""
        return self.paths.state / "memory"

    def job_lock(self, purpose: str) -> FileLock:
        """Held by a job that writes many batches, so that two never work on one collection."""
        from sophiactl.locks import FileLock

        path = self.paths.state / "jobs" / f"{self.collection}.lock"
        timeout = self.settings.memory.lock_timeout
        return FileLock(path, purpose=f"sophiactl {purpose}", timeout=timeout, what=f"the memory {self.collection!r}")

    def ledger(self) -> JobLedger:
        """The job ledger of the collection. Raises `StoreError` and `DiskFull`."""
        from sophiactl.embedding.ledger import JobLedger

        return JobLedger(self.ledger_path)

    @property
    def ledger_path(self) -> Path:
        """Where the job ledger is, or would be."""
        return self.paths.state / "jobs" / f"{self.collection}.db"
