"""Executes a plugin's code under a private name, so that two versions can live side by side.

Python's own import would cache: by module name, and bytecode by the file's time and size, which a
quick edit need not change. So a plugin's modules get a name of their own for every load, and are
always compiled from their source.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType

from supervisor.errors import PluginInvalid
from supervisor.loading.discovery import Candidate

_PREFIX = "supervisor_plugin_"


def execute(candidate: Candidate, *, version: str) -> ModuleType:
    """Run a plugin's main file.

    Args:
        candidate: The plugin.
        version: Tells this load from others of the same plugin; a digest.

    Returns:
        Its module, which is in `sys.modules` under a private name until `forget`.

    Raises:
        PluginInvalid: It could not be compiled, or an exception came out of it.
    """
    if not any(isinstance(finder, _PluginFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PluginFinder())
    name = _free_name(f"{_PREFIX}{candidate.name}_{version[:12]}")
    loader = _FreshLoader(name, str(candidate.main))
    module = importlib.util.module_from_spec(_spec(loader, candidate.main))
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except KeyboardInterrupt:
        forget(name)  # somebody wants the process to end
        raise
    except BaseException as error:
        # SystemExit as well, and CancelledError: nothing is awaited here, so nobody can have
        # cancelled us, and it must have been the plugin that raised it.
        forget(name)
        raise _explain(candidate, error) from error
    return module


def forget(module: str) -> None:
    """Remove a plugin's module, and the modules of its folder, from `sys.modules`.

    What was made from them lives on; only imports inside functions that run later would fail.

    Args:
        module: The name of the main module.
    """
    for name in [*sys.modules]:
        if name == module or name.startswith(f"{module}."):
            sys.modules.pop(name, None)


class _FreshLoader(SourceFileLoader):
    """Compiles the source as it is now; neither reads nor writes bytecode."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _PluginFinder(MetaPathFinder):
    """Finds the modules that a folder plugin imports relatively; knows nothing, keeps nothing."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        tail = fullname.rpartition(".")[2]
        for folder in path or ():
            for file in (Path(folder, tail, "__init__.py"), Path(folder, f"{tail}.py")):
                if file.is_file():
                    return _spec(_FreshLoader(fullname, str(file)), file)
        return None


def _spec(loader: _FreshLoader, file: Path) -> ModuleSpec:
    folder = [str(file.parent)] if file.name == "__init__.py" else None
    spec = ModuleSpec(loader.name, loader, origin=str(file), is_package=folder is not None)
    spec.submodule_search_locations = folder
    spec.has_location = True
    return spec


def _free_name(name: str) -> str:
    number = 1
    while f"{name}_{number}" in sys.modules:
        number += 1
    return f"{name}_{number}"


def _explain(candidate: Candidate, error: BaseException) -> PluginInvalid:
    """Say which line of the plugin an exception came from, whoever raised it."""
    file, line = _place(candidate, error)
    hint = ""
    match error:
        case SyntaxError() if error.filename == str(file):
            what = f"the code cannot be compiled: {error.msg}"
        case SystemExit():
            what = f"the module called sys.exit({error.code!r}) while it was imported"
            hint = "a role is imported, not run: keep such code under a function"
        case ImportError():
            what = f"an import failed: {error}"
            if "relative import" in str(error) and not candidate.is_folder:
                hint = "only a folder can import relatively: make it a folder with __init__.py"
        case _:
            what = f"{type(error).__name__} while it was imported: {error}"
    return PluginInvalid(what, file=candidate.shown(file), line=line, hint=hint)


def _place(candidate: Candidate, error: BaseException) -> tuple[Path, int]:
    if isinstance(error, SyntaxError) and error.filename is not None:
        file = Path(error.filename)
        if file.is_relative_to(candidate.path):
            return file, error.lineno or 0
    places = [
        (Path(frame.f_code.co_filename), line) for frame, line in walk_tb(error.__traceback__)
    ]
    inside = [place for place in places if place[0].is_relative_to(candidate.path)]
    return inside[-1] if inside else (candidate.main, 0)
