"""Holds that what is installed is what was locked, without a network: `.venv/bin/python -S -m scripts.supply_chain`.

That a wheel has a hash of the lock file is held by pip while it installs (`--require-hashes`). From then on each
package's own list of its files, RECORD, tells whether one was changed, taken away or added. What is not seen: a file in
`__pycache__` that pretends to be compiled from its source, and whoever rewrites a RECORD as well. With `-S` nothing of
what is to be found has run before.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.check_lock import Pin

OWN = "sophiactl"
BUNDLED = {"pip", "setuptools"}  # they come with the interpreter; a lock file may name them too
# Which package may have which file run at every start of Python, by the SHA-256 of its content: each was read once.
STARTERS = {
    "setuptools": {"2638ce9e2500e572a5e0de7faed6661eb569d1b696fcba07b0dd223da5f5d224"},  # distutils-precedence.pth
}
CODE = (".py", ".pyc", ".so", ".pyd", ".dylib", ".egg", ".egg-link", ".zip")
OF_THE_ENVIRONMENT = re.compile(r"python[\d.]*|activate(\.\w+)?|Activate\.ps1")


class File(NamedTuple):
    """One file as its package lists it; `sha256` is empty where it lists none."""

    package: str
    path: str
    sha256: str


class Package(NamedTuple):
    """An installed package. `files` is None where it has no list of them; `origin` is what it was installed from."""

    name: str
    version: str
    files: tuple[File, ...] | None
    origin: Mapping[str, object] | None


def installed_packages(sites: Iterable[Path]) -> list[Package]:
    """All packages of the folders that Python imports from."""
    return [_package(found, site) for site in sites for found in distributions(path=[str(site)])]


def _package(found: Distribution, site: Path) -> Package:
    name = re.sub(r"[-_.]+", "-", found.name).lower()
    listed, origin = found.read_text("RECORD"), found.read_text("direct_url.json")
    files = None if listed is None else tuple(_files(name, listed, site))
    return Package(name, found.version, files, _origin(origin) if origin else None)


def _origin(text: str) -> Mapping[str, object]:
    try:
        origin = json.loads(text)
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _files(package: str, listed: str, site: Path) -> Iterator[File]:
    for row in csv.reader(listed.splitlines()):
        path, hashed = (*row, "", "")[:2]
        algorithm, _, digest = hashed.partition("=")
        # Anything weaker than SHA-256 counts as wrong, which is what comparing it as one makes it.
        sha256 = digest if algorithm == "sha256" else hashed
        yield File(package, os.path.normpath(os.path.join(site, path)), sha256)  # noqa: PTH118  # a hundred thousand


def unlocked(packages: Iterable[Package], pins: Mapping[str, Pin]) -> Iterator[str]:
    """What is denied, what no lock file names, and what came from elsewhere than a locked file."""
    from scripts.check_lock import DENIED_VERSIONS

    for package in packages:
        name, version = package.name, package.version
        if (name, version) in DENIED_VERSIONS:
            yield f"{name} {version} is installed, and must not be used: rotate every secret that this machine holds"
        if name == OWN:
            continue
        if name not in pins and name not in BUNDLED:
            yield f"{name} {version} is installed, but no lock file names it: pip uninstall {name}"
        locked = pins[name].hashes if name in pins else set()
        if package.origin is not None and not _archive_hashes(package.origin) & locked:
            yield f"{name} {version} was installed from {package.origin.get('url')}, which is no locked file"


def _archive_hashes(origin: Mapping[str, object]) -> set[str]:
    """The hashes of the file that a package was installed from, as pip notes them."""
    archive = origin.get("archive_info")
    if not isinstance(archive, dict):
        return set()
    newer = archive.get("hashes")
    older = str(archive.get("hash", "")).removeprefix("sha256=")
    return {str(newer.get("sha256", "")) if isinstance(newer, dict) else "", older} - {""}


def starters(sites: Iterable[Path], owners: Mapping[str, str]) -> Iterator[str]:
    """The files that Python reads at every start: those that no package lists, or that run code and may not."""
    for site in sites:
        for path in sorted(each for each in site.iterdir() if each.name.lower().endswith(".pth")):
            content = path.read_bytes()
            owner = owners.get(str(path))
            runs = [line for line in content.decode("utf-8-sig", "replace").splitlines() if _is_code(line)]
            allowed = hashlib.sha256(content).hexdigest() in STARTERS.get(owner or "", ())
            if owner is None:
                yield f"{path} belongs to no package{', and runs code at every start of Python' if runs else ''}"
            elif runs and not allowed:
                yield f"{path} of {owner} runs code at every start of Python, and is not among the known ones"


def _is_code(line: str) -> bool:
    return line.lstrip().startswith(("import ", "import\t"))


def changed(packages: Iterable[Package], prefix: Path) -> Iterator[str]:
    """The files that are not as their package lists them: changed, missing, or outside of the environment."""
    listed: list[File] = []
    for package in packages:
        if package.files is None:
            yield f"{package.name} {package.version} has no list of its files"
        listed += package.files or ()
    for file in listed:
        if not file.path.startswith(f"{prefix}{os.sep}"):
            yield f"{file.path} of {file.package} is outside of the environment"
    # Hashing lets other threads run.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(_change, [file for file in listed if file.sha256]))


def _change(file: File) -> str | None:
    try:
        with open(file.path, "rb") as stream:  # noqa: PTH123  # a hundred thousand
            digest = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        return f"{file.path} of {file.package} cannot be read: {error.strerror}"
    found = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return None if found == file.sha256.rstrip("=") else f"{file.path} of {file.package} is not as it was installed"


def extra(sites: Iterable[Path], programs: Path, owners: Mapping[str, str]) -> Iterator[str]:
    """Code and programs that no package lists."""
    for site in sites:
        for folder, folders, names in os.walk(site):
            compiled = folder.endswith("__pycache__")
            paths = [f"{folder}{os.sep}{name}" for name in names if name.endswith(CODE)]
            paths += [path for each in folders if os.path.islink(path := f"{folder}{os.sep}{each}")]  # noqa: PTH114
            for path in paths:
                if path not in owners and not (compiled and path.endswith(".pyc")):
                    yield f"{path} belongs to no package"
    for program in sorted(programs.iterdir()):
        if program.is_file() and str(program) not in owners and not OF_THE_ENVIRONMENT.fullmatch(program.name):
            yield f"{program} belongs to no package"


def problems(prefix: Path, lock: str) -> list[str]:
    """Everything that is installed otherwise in an environment than the lock file says."""
    from scripts.check_lock import read_lock

    sites, programs = folders(prefix)
    packages = installed_packages(sites)
    owners = {file.path: package.name for package in packages for file in package.files or ()}
    return [
        *unlocked(packages, read_lock(lock)),
        *starters(sites, owners),
        *changed(packages, prefix.resolve()),
        *extra(sites, programs, owners),
    ]


def folders(prefix: Path) -> tuple[list[Path], Path]:
    """Where an environment has its packages and its programs."""
    base = str(prefix.resolve())
    paths = sysconfig.get_paths("venv", vars={"base": base, "platbase": base})
    return sorted({Path(paths[name]).resolve() for name in ("purelib", "platlib")}), Path(paths["scripts"])


def main() -> int:
    """Check the environment whose interpreter this is."""
    prefix = Path(sys.executable).parent.parent
    # Appended by hand: no .pth file is read.
    sys.path += [str(site) for site in folders(prefix)[0] if str(site) not in sys.path]
    from scripts.check_lock import ROOT

    wrong = problems(prefix, (ROOT / "requirements-test.lock").read_text())
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
