"""`sophiactl config`: what is set, where it comes from, and files to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.cli.output import Output
    from sophiactl.settings import Loaded

Section = Literal["memory", "embedding", "agent", "routing", "llm", "prices", "runs", "secrets", "connectors"]
_SECTIONS: tuple[Section, ...] = get_args(Section)


@command(
    examples=(
        ("sophiactl config show", "all settings in force"),
        ("sophiactl config show memory --origin", "one section, with the file and line of each value"),
        ("sophiactl config show --json | jq .data.settings", "for scripts"),
    ),
)
def show(
    context: Context,
    section: Annotated[Section | None, typer.Argument(help="only this section")] = None,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="say where each value comes from")] = False,
) -> Result:
    """Show the settings in force after all layers."""
    import msgspec

    wanted = (section,) if section else _SECTIONS
    loaded = context.load(sections=wanted)
    settings = {name: msgspec.to_builtins(getattr(loaded.settings, name)) for name in wanted}
    origins = {path: str(place) for path, place in loaded.origins.items() if path.partition(".")[0] in wanted}
    data = {"settings": settings, "origins": origins}
    return Result(data, lambda output: _print(output, loaded, origins, with_origin=origin))


def _print(output: Output, loaded: Loaded, origins: dict[str, str], *, with_origin: bool) -> None:
    rows = [(path, _shown(_value(loaded, path)), *([place] if with_origin else [])) for path, place in origins.items()]
    output.table(rows, ("setting", "value", *(["origin"] if with_origin else [])))


def _value(loaded: Loaded, path: str) -> Any:
    value: Any = loaded.settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(none)"
    return "(empty)" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)


@command(
    examples=(
        ("sophiactl config path", "the folders in use"),
        ("sophiactl config path --json | jq -r .data.state", "where the memory is kept"),
    ),
)
def path(context: Context) -> Result:
    """Show the folders that settings are read from, highest first, and where state and cache are kept."""
    from sophiactl.settings import find_layers

    flags, environment, paths = context.flags, context.environment, context.paths
    layers = find_layers(environment.env, environment.cwd, flags.config, flags.profile, _SECTIONS)
    rows = [(layer.kind, str(layer.folder), _files(layer.folder)) for layer in layers]
    places = {"config": str(paths.config), "state": str(paths.state), "cache": str(paths.cache)}
    data = {**places, "layers": [{"kind": kind, "folder": folder, "files": files} for kind, folder, files in rows]}

    def text(output: Output) -> None:
        output.line("settings are read from, highest first:")
        output.table([(f"  {kind}", folder, ", ".join(files) or "(no files)") for kind, folder, files in rows])
        output.line()
        output.table(places.items())

    return Result(data, text)


def _files(folder: Path) -> list[str]:
    return [f"{section}.yaml" for section in _SECTIONS if (folder / f"{section}.yaml").is_file()]


@command(
    examples=(
        ("sophiactl config init", "files in your config folder, every line a comment to edit"),
        ("sophiactl config init --here", "settings that travel with a project"),
    ),
)
def init(
    context: Context,
    *,
    force: Annotated[bool, typer.Option("--force", help="overwrite files that exist")] = False,
    here: Annotated[bool, typer.Option("--here", help="write into ./configs, for this project only")] = False,
) -> Result:
    """Write one commented file a section.

    Every setting stands there as a comment with its default: take the # away and change the value. What stays a comment
    keeps following the program's defaults.
    """
    from pathlib import Path

    from sophiactl.cli.files import write_whole
    from sophiactl.paths import ensure_dir
    from sophiactl.settings.layers import TABLES

    folder = Path(context.environment.cwd) / "configs" if here else context.paths.config
    texts = {section: _commented(section, TABLES.get(section)) for section in _SECTIONS}
    targets = {folder / f"{section}.yaml": text for section, text in texts.items() if text}
    present = [file.name for file in targets if file.exists()]
    if present and not force:
        raise ConfigError(f"{folder} already has {', '.join(present)}", hint="--force overwrites them")
    ensure_dir(folder)
    for file, text in targets.items():
        write_whole(file, text.encode())
    written = [str(file) for file in targets]
    return Result({"written": written}, "\n".join(f"written: {name}" for name in written))


def _commented(section: str, table: str | None) -> str:
    """The built-in file with its settings turned into comments; explanations keep `# `, settings get `#`.

    A table is not for editing: it is left out, with the paragraph that it stands in.
    """
    from sophiactl.settings.layers import builtin_folder

    text = (builtin_folder() / f"{section}.yaml").read_text("utf-8")
    if table is not None:
        paragraphs = text.partition(f"\n{table}:")[0].split("\n\n")
        text = "\n\n".join(paragraphs[:-1]) + "\n" if len(paragraphs) > 1 else ""
    return "".join(_comment(line) for line in text.splitlines(keepends=True))


def _comment(line: str) -> str:
    bare = line.lstrip()
    return line if not bare or bare.startswith("#") else f"{line[: -len(bare)]}#{bare}"
