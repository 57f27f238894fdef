"""Guards: what a function finds around it, beside tensors, and whether that is still the same.

Python does not tell what a function reads. So its code is asked which names it mentions: variables
of closures, globals, and attributes of the objects that these hold. The functions and methods among
them are asked in turn. What the function itself changes while it runs is not guarded.
"""

import pickle
import random
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter, call, is_
from types import CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..autograd.tensor import Tensor
from ..nn.module import Module

GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
FOR_ALL = (random.seed.__self__, np.random.random.__self__)  # what `random` and `np.random` are
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type)
INEXACT = (float, complex, np.inexact)

_LIBRARIES = {__name__.partition(".")[0], "numpy", *sys.stdlib_module_names} - {"__main__"}
_MOST_ITEMS = 64  # of a longer list or dict only the length is looked at
_MOST_THINGS = 5_000  # that are looked at
_SET_UP = ("__init__", "__new__", "__repr__", "__init_subclass__", "__class_getitem__")
_contents = attrgetter("cell_contents")


class Guards:
    """What is read around a function, as it was before a run; then what must be so again.

    Args:
        roots: the function, and whatever else it is given that is no tensor.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.generators: list[tuple[Any, bytes]] = []  # with their states
        self._seen: dict[int, Any] = {}  # kept, so that no other object gets its id
        self._mentioned: set[str] = set()
        self._objects: list[Any] = []  # with attributes
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._names: dict[tuple[int, str], tuple[Mapping[str, Any], Any]] = {}
        self._containers: list[tuple[Callable[[], Iterable[Any]], list[Any]]] = []
        self._reads: list[Callable[[], Iterable[Any]]] = []
        self._values: list[Any] = []
        for root in roots:
            self._look_at(root)
        self._look_at_attributes()

    def meet(self, module: Module) -> None:
        """A module is called."""
        if id(module) not in self._seen:
            self._look_at(module)
            self._look_at_attributes()

    def settle(self) -> None:
        """The run is over: from now on what it left alone must stay so."""
        cells = [pair for pair in self._cells.values() if _holds(pair[0], pair[1])]
        names: dict[int, tuple[Mapping[str, Any], list[str]]] = {}
        values: list[Any] = [value for _, value in cells]
        self._reads = [partial(map, _contents, [cell for cell, _ in cells])] if cells else []
        for (at, name), (mapping, value) in self._names.items():
            if mapping.get(name) is value:
                names.setdefault(at, (mapping, []))[1].append(name)
        for mapping, found in names.values():
            self._reads.append(partial(map, mapping.get, found))
            values += map(mapping.get, found)
        for read, before in self._containers:
            if _are(read(), before):
                self._reads.append(read)
                values += before
        self._values = values

    def hold(self) -> bool:
        """Whether all is as it was."""
        try:
            now = [*chain.from_iterable(map(call, self._reads))]
        except ValueError:  # a variable is gone
            return False
        before = self._values
        if len(now) != len(before):
            return False
        if all(map(is_, now, before)):
            return True
        if not all(map(same, now, before)):
            return False
        self._values = now  # equal, and found at once the next time
        return True

    # Looking around

    def _look_at(self, thing: Any) -> None:
        stack = [thing]
        while stack:
            thing = stack.pop()
            if isinstance(thing, _OPAQUE) or id(thing) in self._seen:
                continue
            if len(self._seen) > _MOST_THINGS:
                return
            self._seen[id(thing)] = thing
            stack += self._parts_of(thing)

    def _parts_of(self, thing: Any) -> Iterable[Any]:
        """What it holds that may be read."""
        if isinstance(getattr(thing, "__self__", None), GENERATORS):
            return (thing.__self__,)
        if isinstance(thing, MethodType):
            return thing.__self__, thing.__func__
        if isinstance(thing, partial):
            return thing.func, *thing.args, *thing.keywords.values()
        if isinstance(getattr(thing, "__wrapped__", None), FunctionType | MethodType):
            op = getattr(thing, "op", None)
            return (op.forward, *op.vjps) if isinstance(op, Op) else (thing.__wrapped__,)
        if isinstance(thing, FunctionType):
            return () if _is_of_library(thing.__module__) else self._read_by(thing)
        if isinstance(thing, tuple):
            return thing if len(thing) <= _MOST_ITEMS else ()
        return self._parts_that_change(thing)

    def _parts_that_change(self, thing: Any) -> Iterable[Any]:
        if isinstance(thing, GENERATORS):
            self.generators.append((thing, state_of(thing)))
        elif isinstance(thing, list | set | deque):
            return self._items(thing, partial(iter, thing))
        elif isinstance(thing, dict):
            self._items(thing, partial(iter, thing))
            return self._items(thing, thing.values)
        elif isinstance(thing, _READ_ANYWAY) or not _is_of_library(_home(thing)):
            self._objects.append(thing)
        return ()

    def _items(self, thing: Any, read: Callable[[], Iterable[Any]]) -> Iterable[Any]:
        """Those of a list or a dict."""
        if len(thing) > _MOST_ITEMS:
            self._containers.append((lambda: (len(thing),), [len(thing)]))
            return ()
        items = [*read()]
        self._containers.append((read, items))
        return items

    def _read_by(self, function: FunctionType) -> Iterator[Any]:
        """What a function reads of closures and globals."""
        mentioned = {*_names_in(function.__code__)}
        self._mentioned |= mentioned
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # not yet there
                continue
            self._cells[id(cell)] = cell, value
            yield value
        found = function.__globals__
        for name in mentioned & found.keys():
            yield self._named(found, found, name)
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()

    def _look_at_attributes(self) -> None:
        """Those that are mentioned anywhere, until nothing new is found."""
        known = None
        while known != (len(self._mentioned), len(self._seen)):
            known = len(self._mentioned), len(self._seen)
            for thing in self._objects:
                for part in [*self._attributes_of(thing)]:
                    self._look_at(part)

    def _attributes_of(self, thing: Any) -> Iterator[Any]:
        if isinstance(thing, type | ModuleType):
            for name in self._mentioned & vars(thing).keys():
                if isinstance(vars(thing)[name], PLAIN):
                    self._named(thing, vars(thing), name)
            return
        own = getattr(thing, "__dict__", {})
        for name in self._mentioned & own.keys():
            yield self._named(own, own, name)
        for kind in type(thing).__mro__:
            if kind in (object, Module):
                continue
            if not _is_of_library(kind.__module__):
                for name in self._mentioned & vars(kind).keys():
                    self._named(kind, vars(kind), name)
                    self._named(own, own, name)  # what would hide it
            yield from self._methods_of(kind)

    def _named(self, owner: Any, mapping: Mapping[str, Any], name: str) -> Any:
        return self._names.setdefault((id(owner), name), (mapping, mapping.get(name)))[1]

    def _methods_of(self, kind: type) -> Iterator[Any]:
        for name, member in vars(kind).items():
            is_special = name.startswith("__") and name not in _SET_UP
            if not (is_special or name == "forward" or name in self._mentioned):
                continue
            if isinstance(member, property):
                member = member.fget
            function = getattr(member, "__func__", member)
            if isinstance(function, FunctionType) and id(function) not in self._seen:
                self._mentioned.update(_names_in(function.__code__))
                yield function


_READ_ANYWAY = (Module, SimpleNamespace, Namespace)
_OPAQUE = (Tensor, np.ndarray, *PLAIN[:-1])


def same(now: Any, before: Any) -> bool:
    """Whether two values are one, or plain and equal."""
    if now is before:
        return True
    if type(now) is not type(before) or not isinstance(now, PLAIN):
        return False
    if isinstance(now, INEXACT):  # 0.0 equals -0.0
        return repr(now) == repr(before)
    return bool(now == before)


def state_of(generator: Any) -> bytes:
    """What is another once somebody has drawn from it."""
    if isinstance(generator, random.Random):
        return pickle.dumps(generator.getstate())
    if isinstance(generator, np.random.RandomState):
        return pickle.dumps(generator.get_state(legacy=False))
    return pickle.dumps(getattr(generator, "bit_generator", generator).state)


def _holds(cell: CellType, value: Any) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:
        return False


def _are(now: Iterable[Any], before: list[Any]) -> bool:
    now = [*now]
    return len(now) == len(before) and all(map(same, now, before))


def _names_in(code: CodeType) -> Iterator[str]:
    """Globals and attributes that code mentions, that inside it included."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_in(part)


def _home(thing: Any) -> str:
    """The module that an object's class comes from; of a class or module its own."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    kind = thing if isinstance(thing, type) else type(thing)
    return str(kind.__module__)


def _is_of_library(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _LIBRARIES
