"""Keyring backends for tests. The child process finds them as it finds anybody's: by keyringrc.cfg, without a hook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sophiactl.secrets.sources.keyring import KeyringSource

if TYPE_CHECKING:
    from pathlib import Path

_BACKENDS = '''
import json, os, signal, subprocess, sys, threading
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError


class Vault(KeyringBackend):
    """Keeps passwords in a file. KEYRING_PROPERTY_FOLDER says where, as keyring passes properties on."""

    priority = 5

    def _all(self):
        path = Path(self.folder, "vault.json")
        return json.loads(path.read_text()) if path.exists() else {}

    def _save(self, everything):
        Path(self.folder, "vault.json").write_text(json.dumps(everything))

    def get_password(self, service, username):
        with open(Path(self.folder, "asked"), "a") as notes:
            notes.write(f"{os.getpid()} {service} {username}\\n")
        return self._all().get(f"{service} {username}")

    def set_password(self, service, username, password):
        self._save(self._all() | {f"{service} {username}": password})

    def delete_password(self, service, username):
        everything = self._all()
        if everything.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError("not there")
        self._save(everything)


class Lowly(Vault):
    priority = 0.5


class PlaintextVault(Vault):
    pass


class Losing(Vault):
    def set_password(self, service, username, password):
        pass


class Stripping(Vault):
    def set_password(self, service, username, password):
        super().set_password(service, username, password.strip())


class Memory(Vault):
    held = {}

    def _all(self):
        return dict(self.held)

    def _save(self, everything):
        Memory.held = everything


class Clinging(Vault):
    def delete_password(self, service, username):
        pass


class ReadOnly(Vault):
    def set_password(self, service, username, password):
        raise NotImplementedError


class Locked(Vault):
    def get_password(self, service, username):
        raise KeyringLocked("locked")


class Telling(Vault):
    def set_password(self, service, username, password):
        raise ValueError(f"cannot store {password} nor {password!r}")


class Unfit(Vault):
    @property
    def folder(self):
        raise AssertionError

    def __init__(self):
        raise RuntimeError("needs a moon that is full")


class Shouting(Vault):
    """Prints where the answer goes, and asks where the request came from."""

    def get_password(self, service, username):
        print("XXXXXXXXXXXXXXXX", flush=True)
        os.write(1, b"YYYYYYYYYYYYYYY")
        assert sys.stdin.read() == ""
        return super().get_password(service, username)


class Snooping(Vault):
    """Notes what anybody could see of its process."""

    def get_password(self, service, username):
        import ctypes, resource
        seen = {"limit": resource.getrlimit(resource.RLIMIT_CORE), "group": os.getpgrp() == os.getpid()}
        seen["argv"], seen["cwd"], seen["path"] = sys.orig_argv, os.getcwd(), sys.path
        seen["environ"] = dict(os.environ)
        if sys.platform == "linux":
            seen["dumpable"] = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
        Path(self.folder, "seen.json").write_text(json.dumps(seen))
        return super().get_password(service, username)


class Crashing(Vault):
    def get_password(self, service, username):
        os.kill(os.getpid(), signal.SIGSEGV)


class Hanging(Vault):
    """For ever, with a child of its own that holds every file it can."""

    def get_password(self, service, username):
        other = subprocess.Popen(["sleep", "600"], close_fds=False)
        Path(self.folder, "pids.part").write_text(f"{os.getpid()} {other.pid}")
        Path(self.folder, "pids.part").rename(Path(self.folder, "pids"))
        threading.Event().wait()


class Stuck(Vault):
    """For ever too, without ever letting another thread run."""

    def get_password(self, service, username):
        import re
        Path(self.folder, "pids.part").write_text(f"{os.getpid()}")
        Path(self.folder, "pids.part").rename(Path(self.folder, "pids"))
        re.fullmatch("(a+)+b", "a" * 64)
'''


def vault_env(folder: Path, backend: str = "Vault") -> dict[str, str]:
    """An environment in which keyring uses one of the classes above, and keeps its passwords in `folder`."""
    settings = folder / "config" / "python_keyring"
    settings.mkdir(parents=True, exist_ok=True)
    (folder / "test_vaults.py").write_text(_BACKENDS)
    (settings / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring=test_vaults.{backend}\nkeyring-path={folder}\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHON_KEYRING_BACKEND"}}
    return env | {"XDG_CONFIG_HOME": str(folder / "config"), "KEYRING_PROPERTY_FOLDER": str(folder)}


def vault_source(folder: Path, backend: str = "Vault", *, mode: Any = "always", **others: Any) -> KeyringSource:
    """A source over such a backend. `profile`, `timeout` and `env` (over the usual one) may be given."""
    env = vault_env(folder, backend) | others.pop("env", {})
    made: dict[str, Any] = {"profile": "", "timeout": 10.0, "index_folder": folder / "state"} | others
    return KeyringSource(mode=mode, env=env, **made)


def askings(folder: Path) -> list[str]:
    """Who asked the backend for what: the process, the service and the name."""
    notes = folder / "asked"
    return notes.read_text().splitlines() if notes.exists() else []
