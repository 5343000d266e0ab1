"""The digest of the code that a model, or a module of the features, is made by.

A stage is skipped when its inputs were seen before, so everything that decides what a model is must
be in here: what was left out would be trained on silently as it was before the change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from torchyard.core.digest import digest_bytes, digest_file, digest_json
from torchyard.core.record import Json
from torchyard.yard.workspace import LoadedProject

if TYPE_CHECKING:
    from torch import nn


def model_source(loaded: LoadedProject) -> str:
    """The digest of the code a model is built by.

    It covers the ``model`` function or class, ``fit``, and what they use of ``project.py``: other
    functions and classes, their defaults and base classes, values; and the other files of the
    folder that were imported. So changing a gate trains nothing anew, changing a layer does.
    """
    sources = _Sources(loaded)
    code = sources.of(loaded.project.model)
    fit = sources.of(loaded.project.fit)
    return digest_json({"files": _imported(loaded), "model": code, "fit": fit})


def module_source(loaded: LoadedProject, module: nn.Module) -> str:
    """The digest of a module that is part of the features: its code, its settings, its weights.

    It covers what ``model_source`` does of the module's classes, plain attributes, and every
    parameter and buffer.
    """
    return digest_json({"files": _imported(loaded), "module": _Sources(loaded).of(module)})


def function_source(loaded: LoadedProject, function: Callable[..., Any]) -> str:
    """The digest of a function of the project file, covering what ``model_source`` does of it."""
    return digest_json({"files": _imported(loaded), "function": _Sources(loaded).of(function)})


def _imported(loaded: LoadedProject) -> dict[str, str]:
    folder = loaded.workspace.folder
    return {str(path.relative_to(folder)): digest_file(path) for path in loaded.imported}


class _Sources:
    """Describes values, functions and classes as JSON, each of these once.

    Of the project's own code everything; of what others wrote the name alone: their versions are
    the run's environment.
    """

    def __init__(self, loaded: LoadedProject) -> None:
        self._workspace = loaded.workspace
        self._seen: list[object] = []

    def of(self, value: Any) -> Json:
        """What a value is, the same in every process."""
        if value is None or isinstance(value, (str, int, float, bool, bytes, complex)):
            return repr(value)
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, *map(self.of, value)]
        if isinstance(value, dict):
            return [[self.of(key), self.of(item)] for key, item in value.items()]
        if isinstance(value, (set, frozenset)):
            return sorted(map(repr, value))  # their order differs from process to process
        if isinstance(value, CodeType):
            return self._code(value)
        if any(value is known for known in self._seen):
            return None
        self._seen.append(value)
        if isinstance(value, partial):
            return [self.of(value.func), self.of(value.args), self.of(value.keywords)]
        if isinstance(value, FunctionType):
            return self._function(value) if self._is_own(value) else value.__qualname__
        if isinstance(value, type):
            return self._class(value) if self._is_own(value) else value.__qualname__
        return self._object(value)

    def _is_own(self, item: FunctionType | type) -> bool:
        """Whether it was written in the project's folder."""
        if isinstance(item, FunctionType):
            return self._workspace.owns(item.__code__.co_filename)
        methods = [item for item in vars(item).values() if isinstance(item, FunctionType)]
        return item.__module__ == "project" or any(map(self._is_own, methods))

    def _function(self, function: FunctionType) -> Json:
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        used = [
            [name, self.of(function.__globals__[name])]
            for name in sorted(_names(function.__code__) & function.__globals__.keys())
        ]
        given = [function.__defaults__, function.__kwdefaults__, cells]
        return [self._code(function.__code__), [self.of(item) for item in given], used]

    def _code(self, code: CodeType) -> Json:
        """Bytecode, names and constants."""
        return [code.co_code.hex(), list(code.co_names), [self.of(item) for item in code.co_consts]]

    def _class(self, kind: type) -> Json:
        members = {
            name: item
            for name, item in vars(kind).items()
            if isinstance(item, FunctionType) or not name.startswith("__")
        }
        return [[self.of(base) for base in kind.__bases__], self.of(members)]

    def _object(self, value: Any) -> Json:
        """An object: its class, its attributes, and a module's weights."""
        if isinstance(value, ModuleType):
            return value.__name__
        if isinstance(value, (staticmethod, classmethod, MethodType)):
            return [self.of(value.__func__), self.of(getattr(value, "__self__", None))]
        if hasattr(value, "__wrapped__"):  # what functools.cache and its like make of a function
            return self.of(value.__wrapped__)
        if isinstance(value, property):
            return [self.of(value.fget), self.of(value.fset)]
        kind = self.of(type(value)) or type(value).__qualname__
        if hasattr(value, "state_dict") and hasattr(value, "named_modules"):
            return [kind, self._module(value)]
        is_own = self._is_own(type(value))
        return [kind, self.of(vars(value)) if is_own and hasattr(value, "__dict__") else None]

    def _module(self, module: nn.Module) -> Json:
        parts: list[Json] = [repr(module)]
        for name, part in module.named_modules():
            plain = {
                key: item
                for key, item in sorted(vars(part).items())
                if not key.startswith("_") and key != "training"
            }
            parts.append([name, self.of(type(part)), self.of(plain)])
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            values = tensor.detach().cpu().contiguous().numpy()
            digest = digest_bytes(values.tobytes())
            parts.append([name, str(values.dtype), list(values.shape), digest])
        return parts


def _names(code: CodeType) -> set[str]:
    """Every name that code uses, inside its comprehensions and inner functions too."""
    inner = (_names(item) for item in code.co_consts if isinstance(item, CodeType))
    return set(code.co_names).union(*inner)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is bound later
        return False
