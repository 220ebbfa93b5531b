"""The redactor before everything that prints on its own: logging, warnings, and the hooks for exceptions nobody caught.

`install` loads nothing: modules that are not there yet are hooked as soon as somebody imports them, so that the start
costs nothing and no library that logs comes first.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sophiactl.redaction.redactor import GONE, REDACTOR

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType, TracebackType

    from sophiactl.redaction.redactor import Redactor


def traceback_text(error: BaseException, redactor: Redactor = REDACTOR) -> str:
    """A traceback with causes, groups and notes, without secrets, and never with the values of variables."""
    from traceback import format_exception

    try:
        text = "".join(format_exception(error))
    except Exception as failure:  # noqa: BLE001 - an exception may do anything when it is asked what it says
        text = f"{type(error).__name__} (which cannot be shown: {type(failure).__name__})\n"
    return redactor.text(text)


def install(redactor: Redactor = REDACTOR) -> None:
    """Put `redactor` before logging, warnings and the hooks for exceptions. Once is enough; again changes nothing."""
    if _hooks.redactor is redactor:
        return
    uninstall()
    _hooks.redactor = redactor
    _hooks.put(sys, "excepthook", _excepthook)
    _hooks.put(sys, "unraisablehook", _unraisablehook)
    for name, hook in _LATER.items():
        if name in sys.modules:
            hook(sys.modules[name])
    sys.meta_path.insert(0, _watch)


def uninstall() -> None:
    """Put back what was there before."""
    _hooks.restore()
    if _watch in sys.meta_path:
        sys.meta_path.remove(_watch)


class _Hooks:
    """What was replaced, and by what."""

    def __init__(self) -> None:
        self.redactor: Redactor | None = None
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def put(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        self._replaced.append((owner, name, getattr(owner, name), ours))
        setattr(owner, name, ours)

    def restore(self) -> None:
        for owner, name, before, ours in reversed(self._replaced):
            if getattr(owner, name) is ours:
                setattr(owner, name, before)
        self._replaced.clear()
        self.redactor = None


_hooks = _Hooks()


def _text(text: str) -> str:
    """The text, or nothing of it when even that fails: what prints an error must not raise another."""
    try:
        return (_hooks.redactor or REDACTOR).text(text)
    except Exception:  # noqa: BLE001
        return GONE


def _print(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _excepthook(_kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _print(traceback_text(error.with_traceback(trace), _hooks.redactor or REDACTOR))


def _unraisablehook(unraisable: sys.UnraisableHookArgs) -> None:
    told = unraisable.err_msg or "Exception ignored in"
    error = unraisable.exc_value
    trace = "" if error is None else traceback_text(error, _hooks.redactor or REDACTOR)
    _print(f"{_text(f'{told}: {_shown(unraisable.object)}')}\n{trace}")


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - it may be half taken down already
        return f"<{type(value).__name__}>"


def _hook_threading(module: ModuleType) -> None:
    def excepthook(args: Any) -> None:
        if args.exc_type is SystemExit or args.exc_value is None:
            return
        name = "?" if args.thread is None else args.thread.name
        trace = traceback_text(args.exc_value, _hooks.redactor or REDACTOR)
        _print(f"{_text(f'Exception in thread {name}:')}\n{trace}")

    _hooks.put(module, "excepthook", excepthook)


def _hook_warnings(module: ModuleType) -> None:
    before = module.formatwarning

    def formatwarning(*args: Any, **kwargs: Any) -> str:
        return _text(before(*args, **kwargs))

    # Both what is printed and what `logging.captureWarnings` passes on are made by this one.
    _hooks.put(module, "formatwarning", formatwarning)


def _hook_logging(module: ModuleType) -> None:
    before = module.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if _hooks.redactor:
            _clean(record, _hooks.redactor)
        before(self, record)

    # A record factory would come too early: what `extra` and the logger's filters add is put in afterwards.
    _hooks.put(module.Logger, "callHandlers", call_handlers)


_LATER: dict[str, Callable[[ModuleType], None]] = {
    "logging": _hook_logging,
    "threading": _hook_threading,
    "warnings": _hook_warnings,
}
# What the interpreter itself writes into a record.
_FACTS = frozenset({
    "args", "created", "exc_info", "exc_text", "filename", "funcName", "levelname", "levelno", "lineno", "module",
    "msecs", "msg", "pathname", "process", "processName", "relativeCreated", "stack_info", "thread",
})  # fmt: skip


def _clean(record: logging.LogRecord, redactor: Redactor) -> None:
    """Take secrets out of everything in a record that a handler may write."""
    try:
        _clean_message(record, redactor)
        if record.exc_info:
            error = record.exc_info[1]
            # Handlers that draw tracebacks of their own show variables too.
            record.exc_text = traceback_text(error, redactor) if error is not None else None
            record.exc_info = None
        for name in ("exc_text", "stack_info"):
            if text := getattr(record, name):
                setattr(record, name, redactor.text(text))
        for name, value in list(record.__dict__.items()):
            if name not in _FACTS:
                record.__dict__[name] = _clean_value(value, redactor)
    except Exception:  # noqa: BLE001 - a message that cannot be cleaned is not written, and logging never raises
        record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = GONE, None, None, None, None


def _clean_message(record: logging.LogRecord, redactor: Redactor) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - logging would print message and arguments as they are
        message = f"{record.msg} {_shown(record.args)}"
        record.msg, record.args = message, None
    clean = redactor.text(message)
    if clean != message:
        record.msg, record.args = clean, None


def _clean_value(value: Any, redactor: Redactor) -> Any:
    """A value that a formatter may put into the line: as it is, unless it or its text tells a secret."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str | bytes | dict | list | tuple | set | frozenset):
        clean = redactor.data(value)
        text = f"{clean!s} {clean!r}"
        return clean if redactor.text(text) == text else redactor.text(str(clean))
    text = f"{value!s} {value!r}"
    return value if redactor.text(text) == text else redactor.text(str(value))


class _Watch:
    """Hooks modules when they are imported; finds nothing itself."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own specification, with a loader that hooks it in the end; None for all other modules."""
        if name not in _LATER:
            return None
        for finder in sys.meta_path:
            found = None if finder is _watch else finder.find_spec(name, path, target)
            if found is not None:
                if found.loader is not None:
                    found.loader = _HookingLoader(found.loader)  # type: ignore[assignment]  # has what is called
                return found
        return None


_watch = _Watch()


class _HookingLoader:
    """Another loader, and a hook when it is done."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the other loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then hook it."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        if _hooks.redactor is not None:
            _LATER[module.__name__](module)
