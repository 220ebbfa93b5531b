from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError
from sophiactl.settings import SECTIONS, Loaded, Settings, load_settings, section_type
from sophiactl.settings.environment import variable_of
from sophiactl.settings.layers import TABLES, builtin_folder
from sophiactl.settings.schema import LIMITS, leaves

if TYPE_CHECKING:
    from pathlib import Path


KINDS = {name: section_type(name) for name in SECTIONS}


class World:
    """Folders for each layer, and a way to load from them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.user = root / "home" / "config"
        self.project = self.work / "configs"
        self.work.mkdir()

    def write(self, folder: Path, text: str, section: str = "memory") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{section}.yaml"
        file.write_text(text, "utf-8")
        return file

    def load(self, env: dict[str, str] | None = None, **options: Any) -> Loaded:
        return load_settings(
            env={"SOPHIACTL_HOME": str(self.root / "home"), **(env or {})}, cwd=str(self.work), **options
        )

    def refused(self, env: dict[str, str] | None = None, **options: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self.load(env, **options)
        assert caught.value.hint
        return caught.value


def defaults(world: World) -> Settings:
    """What is in force without any file or variable of the user's."""
    return world.load().settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_built_in_files_say_what_the_structs_say(world: World) -> None:
    """They are not read at every start, so nothing else would notice a difference."""
    for section in SECTIONS:
        if section not in TABLES:
            text = (builtin_folder() / f"{section}.yaml").read_text("utf-8")
            world.write(world.root / "copy", text, section)
    loaded = world.load(config=str(world.root / "copy"))
    assert loaded.settings == defaults(world)
    assert {origin.kind for path, origin in loaded.origins.items() if path.startswith("memory.")} == {"file"}


def test_the_table_of_prices_comes_from_its_file(world: World) -> None:
    assert world.load().settings.prices.models
    assert str(world.load().origins["prices.models"]) == "built in"


def test_every_setting_stands_in_the_built_in_files_with_a_comment() -> None:
    for section, kind in KINDS.items():
        if section == "prices":
            continue  # a table, not settings to choose
        lines = (builtin_folder() / f"{section}.yaml").read_text("utf-8").splitlines()
        for path in leaves(section, kind):
            key = path.rpartition(".")[2]
            position = next(i for i, line in enumerate(lines) if line.lstrip().startswith(f"{key}:"))
            assert lines[position - 1].lstrip().startswith("# "), path


def test_limits_name_settings_that_exist_and_hold_their_defaults() -> None:
    known = {path for section, kind in KINDS.items() for path in leaves(section, kind)}
    for path, (low, high) in LIMITS.items():
        assert path in known
        value: Any = Settings()
        for name in path.split("."):
            value = getattr(value, name)
        assert value is None or low <= value <= high


def test_each_layer_wins_over_those_below(world: World) -> None:
    seen = [world.load().settings.memory.lock_timeout]
    world.write(world.user, "lock_timeout: 1\n")
    seen.append(world.load().settings.memory.lock_timeout)
    project = world.write(world.project, "\n\nlock_timeout: 2\n")
    loaded = world.load()
    assert str(loaded.origins["memory.lock_timeout"]) == f"{project}:3"
    seen.append(loaded.settings.memory.lock_timeout)
    env = {"SOPHIACTL_MEMORY__LOCK_TIMEOUT": "3"}
    seen.append(world.load(env).settings.memory.lock_timeout)
    top = world.load(env, flags={"memory.lock_timeout": ("--lock-timeout", 4.0), "memory.url": ("--url", None)})
    seen.append(top.settings.memory.lock_timeout)
    assert seen == [30.0, 1.0, 2.0, 3.0, 4.0]
    assert top.origins["memory.lock_timeout"] == ("flag", "--lock-timeout", None)
    assert top.origins["memory.url"].kind == "built in"


def test_a_named_folder_replaces_the_project(world: World) -> None:
    world.write(world.project, "lock_timeout: 2\n")
    world.write(world.root / "a", "lock_timeout: 5\n")
    world.write(world.root / "b", "lock_timeout: 6\n")
    env = {"SOPHIACTL_CONFIG": str(world.root / "a")}
    assert world.load(env).settings.memory.lock_timeout == 5
    assert world.load(env, config="../b").settings.memory.lock_timeout == 6
    assert "--config: there is no folder nowhere" in world.refused(config="nowhere").message
    assert "SOPHIACTL_CONFIG" in world.refused({"SOPHIACTL_CONFIG": "/dev/null/nowhere"}).message


def test_only_the_working_folder_is_searched(world: World) -> None:
    world.write(world.root / "configs", "lock_timeout: 2\n")
    world.project.mkdir()
    (world.project / "nginx.yaml").write_text("server: {}\n", "utf-8")
    assert world.load().settings.memory.lock_timeout == 30


def test_nested_settings_are_merged_one_by_one(world: World) -> None:
    world.write(world.user, "retrieval:\n  candidates: 50\n  diversity: 0.5\n")
    world.write(world.project, "retrieval:\n  candidates: 60\n")
    retrieval = world.load().settings.memory.retrieval
    assert (retrieval.candidates, retrieval.diversity, retrieval.dense_weight) == (60, 0.5, 0.5)


class TestProfiles:
    def test_a_profile_lies_over_its_own_folder(self, world: World) -> None:
        world.write(world.user, "lock_timeout: 1\nlanguage: german\n")
        world.write(world.user / "profiles" / "ci", "lock_timeout: 9\n")
        assert world.load(profile="ci").settings.memory.lock_timeout == 9
        assert world.load(profile="ci").settings.memory.language == "german"
        assert world.load().settings.memory.lock_timeout == 1
        world.write(world.project, "lock_timeout: 2\n")
        assert world.load(profile="ci").settings.memory.lock_timeout == 2

    def test_an_unknown_profile_lists_the_known(self, world: World) -> None:
        world.write(world.user / "profiles" / "staging", "lock_timeout: 9\n")
        assert "did you mean staging?" in (world.refused(profile="stagng").hint or "")
        assert "known: staging" in (world.refused(profile="zzz").hint or "")

    @pytest.mark.parametrize("name", ["..", "../..", "a/b", "/", ".", "a\0b"])
    def test_a_profile_is_a_name_and_no_path(self, world: World, name: str) -> None:
        world.write(world.user / "profiles" / "x", "lock_timeout: 9\n")
        assert "there is no profile" in world.refused(profile=name).message


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("lock_timeout: soon", ":1: memory.lock_timeout cannot be 'soon'", "a number"),
            ("\nlock_timeout: -1", ":2: memory.lock_timeout cannot be -1", "a number from 0 to 86400"),
            ("lock_timeout: .nan", "cannot be '.nan'", "a number"),
            ("retrieval:\n  candidates: 1.5", ":2: memory.retrieval.candidates cannot be 1.5", "a whole number"),
            ("retrieval:\n  candidates: true", "candidates cannot be true", "a whole number"),
            ("retrieval: 5", ":1: memory.retrieval must be a mapping", "key: value"),
            ("retrieval:\n  canddates: 5", ":2: there is no setting memory.retrieval.canddates", "mean candidates?"),
            ("zzz: 1", "there is no setting memory.zzz", "known are: collection"),
            ("language: no", ":1: memory.language: `no` can be read in two ways", '"no"'),
            ("language: 5", "memory.language cannot be 5", "text"),
            ("language:", ":1: memory.language has no value", '""'),
            ("language: [a]", "memory.language cannot be ['a']", "text"),
            ("language: a\nlanguage: b", ":2: memory.language stands there twice", "remove one"),
            ("language: 'a", "not valid YAML", "quotes"),
            ("\tlanguage: a", ":1: not valid YAML", "indentation"),
            ("a: 1\n---\nb: 2", "not valid YAML", "indentation"),
            ("- a", ":1: memory must be a mapping", "key: value"),
            ("just words", "memory must be a mapping", "key: value"),
            ("retrieval: &x {candidates: 5}\nmetadata: *x", ":2: aliases (*name) are not supported", "write"),
            ("url: !!python/object:os.system x\n? [a]\n: b", "there is no setting", "known are"),
        ],
    )
    def test_errors_name_the_place_and_the_way_out(self, world: World, text: str, message: str, hint: str) -> None:
        file = world.write(world.user, text)
        error = world.refused()
        assert str(file) in error.message
        assert message in error.message
        assert hint in (error.hint or "")

    def test_aliases_are_refused(self, world: World) -> None:
        file = world.write(world.user, "include: &a [x]\nexclude: *a\n", "embedding")
        assert f"{file}:2: aliases" in world.refused().message

    def test_numbers_and_lists_are_read_as_written(self, world: World) -> None:
        world.write(world.user, "min_relevance: 1e-3\npassages: 010\n", "agent")
        world.write(world.user, "include: ['*.md', 12:30, a: b]\n", "embedding")
        assert "a list, each item text" in (world.refused().hint or "")
        world.write(world.user, "include:\n  - '*.md'\n  - 12:30\n  - 2024-01-02\nthreads: 2\n", "embedding")
        settings = world.load().settings
        assert (settings.agent.min_relevance, settings.agent.passages) == (0.001, 10)
        assert settings.embedding.include == ("*.md", "12:30", "2024-01-02")

    @pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "retrieval:\n"])
    def test_empty_files_and_sections_change_nothing(self, world: World, text: str) -> None:
        expected = defaults(world)
        world.write(world.user, text)
        assert world.load().settings == expected

    def test_files_that_cannot_be_read_are_named(self, world: World) -> None:
        file = world.write(world.user, "")
        file.write_bytes(b"url: ''\nlanguage: caf\xe9\n")
        assert f"{file}:2: not UTF-8" in world.refused().message
        file.write_bytes(b"#" * 1_000_001)
        assert "larger than" in world.refused().message
        file.unlink()
        file.mkdir()
        assert "cannot be read" in world.refused().message
        file.rmdir()
        file.with_suffix(".yml").write_text("url: ''\n", "utf-8")
        assert "is not read" in world.refused().message

    def test_a_file_with_a_byte_order_mark_is_read(self, world: World) -> None:
        world.write(world.user, "\ufefflock_timeout: 3\n")
        assert world.load().settings.memory.lock_timeout == 3

    @pytest.mark.parametrize("text", ["[" * 400_000, "- " * 400_000, "{a: " * 100_000])
    def test_deep_nesting_is_refused(self, world: World, text: str) -> None:
        world.write(world.user, f"include:\n  {text}", "embedding")
        assert "nested too deeply" in world.refused().message


class TestSecrets:
    KEY = "qd-4f9aA81bX7c2d9E0f1a2b3c4"

    def test_a_secret_is_refused_and_never_shown(self, world: World) -> None:
        for text in (f"api_key: {self.KEY}", f"api_key_name: {self.KEY}", f"retrieval:\n  auth_token: {self.KEY}"):
            world.write(world.user, text)
            error = world.refused()
            assert "secret" in error.message
            assert self.KEY not in f"{error.message}{error.hint}"

    def test_also_in_the_environment(self, world: World) -> None:
        for name in ("SOPHIACTL_MEMORY__API_KEY", "SOPHIACTL_MEMORY__API_KEY_NAME"):
            error = world.refused({name: self.KEY})
            assert "secret" in error.message
            assert self.KEY not in f"{error.message}{error.hint}"

    @pytest.mark.parametrize("name", ["QDRANT_API_KEY", "MY_QDRANT_API_KEY_2", "key", ""])
    def test_names_are_welcome(self, world: World, name: str) -> None:
        world.write(world.user, f'api_key_name: "{name}"')
        assert world.load().settings.memory.api_key_name == name


class TestEnvironment:
    def test_values_take_the_type_of_the_setting(self, world: World) -> None:
        settings = world.load(
            {
                "SOPHIACTL_MEMORY__RETRIEVAL__CANDIDATES": "20",
                "SOPHIACTL_EMBEDDING__INCLUDE": "*.md, *.txt,",
                "SOPHIACTL_EMBEDDING__EXCLUDE": "",
                "SOPHIACTL_AGENT__DIVERSITY": "5e-1",
                "SOPHIACTL_MEMORY__LANGUAGE": "no",
            }
        ).settings
        assert settings.memory.retrieval.candidates == 20
        assert settings.embedding.include == ("*.md", "*.txt")
        assert settings.embedding.exclude == ()
        assert (settings.agent.diversity, settings.memory.language) == (0.5, "no")

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("SOPHIACTL_AGENT__PASSAGES", "many", "SOPHIACTL_AGENT__PASSAGES: agent.passages cannot be 'many'"),
            ("SOPHIACTL_AGENT__PASSAGES", "1_0", "cannot be '1_0'"),
            ("SOPHIACTL_AGENT__PASSAGES", "", "cannot be ''"),
            ("SOPHIACTL_AGENT__DIVERSITY", "inf", "cannot be inf"),
            ("SOPHIACTL_AGENT__DIVERSITY", "2", "cannot be 2"),
            ("SOPHIACTL_AGENT__PASAGES", "1", "there is no setting agent.pasages"),
            ("SOPHIACTL_MEMORY__RETRIEVAL", "1", "there is no setting memory.retrieval"),
            ("SOPHIACTL_MEMORY__URL__X", "1", "there is no setting memory.url.x"),
            ("SOPHIACTL_MEMORY__", "1", "there is no setting memory."),
        ],
    )
    def test_mistakes_name_the_variable(self, world: World, name: str, value: str, message: str) -> None:
        assert message in world.refused({name: value}).message

    def test_a_misspelt_variable_is_answered_with_the_nearest(self, world: World) -> None:
        error = world.refused({"SOPHIACTL_AGENT__PASAGES": "1"})
        assert error.hint == "did you mean SOPHIACTL_AGENT__PASSAGES?"

    def test_other_variables_are_left_alone(self, world: World) -> None:
        names = ("SOPHIACTL_SHARED", "SOPHIACTL_DEBUG", "SOPHIACTL_TEST_X", "SOPHIACTL_OTHER__X", "MEMORY__URL")
        assert world.load(dict.fromkeys(names, "x")).settings == defaults(world)

    @given(st.sampled_from(sorted(LIMITS)), st.floats(0, 1))
    def test_every_number_can_be_set_within_its_limits(self, path: str, share: float) -> None:
        low, high = LIMITS[path]
        default: Any = Settings()
        for name in path.split("."):
            default = getattr(default, name)
        wanted = type(0.0 if default is None else default)(low + (high - low) * share)
        loaded = load_settings(env={"SOPHIACTL_HOME": "/dev/null/home", variable_of(path): str(wanted)}, cwd="/")
        value: Any = loaded.settings
        for name in path.split("."):
            value = getattr(value, name)
        assert value == wanted
        assert loaded.origins[path].name == variable_of(path)


@given(st.binary(max_size=200))
def test_no_file_can_break_the_loader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "memory.yaml").write_bytes(data)
    told: tuple[object, ...]
    try:
        told = (load_settings(env={"SOPHIACTL_HOME": str(folder)}, cwd="/", config=str(folder)).settings,)
    except ConfigError as error:
        told = (error.hint, "memory.yaml" in error.message)
    assert all(told)


def test_settings_and_layers_are_frozen(world: World) -> None:
    with pytest.raises(AttributeError):
        world.load().settings.memory.url = "x"  # type: ignore[misc]


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@db/runs", "postgresql://db/runs?password=hunter2"])
def test_a_password_inside_a_url_is_refused_and_not_shown(world: World, url: str) -> None:
    world.write(world.user, f"url: {url}\n", "runs")
    error = world.refused()
    assert "password" in error.message
    assert "hunter2" not in f"{error.message}{error.hint}"


def test_a_url_without_a_password_is_taken(world: World) -> None:
    world.write(world.user, "url: postgresql://me@db:5432/runs?sslmode=require\n", "runs")
    assert world.load().settings.runs.url.startswith("postgresql://")
