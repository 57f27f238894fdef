"""Guards: what a function reads around it, beside tensors, and whether that is still the same.

Python does not tell what a function reads. So its code is asked which names it mentions: variables
of closures, globals, and attributes of the objects that these hold. The functions and methods among
them are asked in turn. What the function itself changes while it runs is not guarded. Of arrays the
numbers count: see `contents`.
"""

import os
import pickle
import random
import sys
import threading
from argparse import Namespace
from collections import ChainMap, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from enum import Enum, EnumType
from functools import partial
from itertools import chain
from operator import attrgetter, call, is_, methodcaller
from pathlib import Path
from types import (
    BuiltinMethodType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any
from weakref import ProxyTypes, ref

import numpy as np

from ..autograd.op import Op
from ..autograd.tensor import Tensor
from ..nn.module import Module
from .contents import BUFFERS, MOST_BYTES, Contents

GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
FOR_ALL = (random.seed.__self__, np.random.random.__self__)  # what `random` and `np.random` are
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type)
INEXACT = (float, complex, np.inexact)

_LIBRARIES = {__name__.partition(".")[0], "numpy", *sys.stdlib_module_names} - {"__main__"}
_INSTALLED = {"site-packages", "dist-packages"}
_MOST_LOOKED_INTO = 64  # items of a list or dict; those of a longer one are compared alone
_MOST_ITEMS = 1_000  # of a still longer one the length is compared alone
_MOST_THINGS = 5_000  # that are looked at
_SET_UP = ("__init__", "__new__", "__repr__", "__init_subclass__", "__class_getitem__")
# What code that mentions one of these may read by a name that it does not mention.
_ANY_ATTRIBUTE = {"getattr", "vars", "attrgetter", "__dict__", "__getattribute__"}
_ANY_GLOBAL = {"globals"}
_EVALUATING = {"eval", "exec"}
_contents = attrgetter("cell_contents")
_makings = attrgetter("__code__", "__defaults__", "__kwdefaults__")  # of a function


class Guards:
    """What is read around a function, as it was before a run; then what must be so again.

    Args:
        roots: the function, and whatever else it is given that is not a tensor.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.generators: list[tuple[Any, bytes]] = []  # with their states
        self.contents = Contents()
        self._seen: dict[int, Any] = {}  # kept, so that no other object gets its id
        self._mentioned: set[str] = set()
        self._any_attribute = False  # may be read
        self._in_doubt = ""
        self._objects: list[Any] = []  # with attributes
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._names: dict[tuple[int, str], tuple[Any, Any]] = {}
        self._containers: list[tuple[Callable[[], Iterable[Any]], list[Any]]] = []
        self._reads: list[Callable[[], Iterable[Any]]] = []
        self._values: list[Any] = []
        for root in roots:
            self._look_at(root)
        self._look_at_attributes()

    def meet(self, thing: Any) -> None:
        """A module is called, or a hook of a tensor will be."""
        if id(thing) not in self._seen:
            self._look_at(thing)
            self._look_at_attributes()

    def settle(self) -> None:
        """The run is over: from now on what it left alone must stay so."""
        cells = [pair for pair in self._cells.values() if _holds(pair[0], pair[1])]
        names: dict[int, tuple[Any, list[str]]] = {}
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
        self.contents.settle()

    @property
    def in_doubt(self) -> str:
        """What is around the function and cannot be checked for changes; or ""."""
        size = self.contents.nbytes
        return f"{size / 2**20:.0f} MiB of arrays" if size > MOST_BYTES else self._in_doubt

    def hold(self) -> bool:
        """Whether all is as it was."""
        try:
            now = [*chain.from_iterable(map(call, self._reads))]
            return self._are_as_before(now) and self.contents.hold()
        except ValueError:  # a variable is gone, or a file closed
            return False

    def _are_as_before(self, now: list[Any]) -> bool:
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
        if isinstance(_attribute(thing, "__self__"), GENERATORS):
            return (thing.__self__,)
        if isinstance(thing, BuiltinMethodType):  # of an array, say; of a function it is a module
            return () if isinstance(thing.__self__, ModuleType) else (thing.__self__,)
        if isinstance(thing, MethodType):
            return thing.__self__, thing.__func__
        if isinstance(thing, partial):
            return thing.func, thing.args, thing.keywords
        if isinstance(thing, attrgetter | methodcaller):
            return self._read_by_name(thing)
        if type(thing) in ProxyTypes:
            return (_attribute(_attribute(thing, "__init__"), "__self__"),)
        if isinstance(_attribute(thing, "__wrapped__"), FunctionType | MethodType):
            return self._parts_of_wrapper(thing)
        if isinstance(thing, FunctionType):
            return () if _is_of_library(thing.__module__) else self._read_by(thing)
        if isinstance(thing, tuple):
            return thing if len(thing) <= _MOST_LOOKED_INTO else ()
        return self._parts_that_change(thing)

    def _parts_that_change(self, thing: Any) -> Iterable[Any]:
        if isinstance(thing, random.SystemRandom):
            self._in_doubt = "random numbers of the system"
            return ()
        if isinstance(thing, GENERATORS):
            self.generators.append((thing, state_of(thing)))
            return ()
        if isinstance(thing, BUFFERS):
            return self._parts_of_buffer(thing)
        if isinstance(thing, _READ_ANYWAY) or not _is_of_library(_home(thing)):
            self._objects.append(thing)
        parts: list[Any] = []
        for kind, read in _CONTAINERS:
            if isinstance(thing, kind):
                parts += self._items(thing, partial(read, thing))
        return parts

    def _parts_of_buffer(self, thing: Any) -> Iterable[Any]:
        self.contents.meet(thing)
        if not isinstance(thing, np.ndarray):
            return
        yield from getattr(thing, "__dict__", {}).values()  # the mask of a masked array
        if thing.dtype.hasobject and thing.size <= _MOST_LOOKED_INTO:
            yield from thing.flat

    def _items(self, thing: Any, read: Callable[[], Iterable[Any]]) -> Iterable[Any]:
        """Those of a list or a dict."""
        size = len(thing) if hasattr(thing, "__len__") else 1
        if size > _MOST_ITEMS:
            self._containers.append((lambda: (len(thing),), [size]))
            return ()
        items = [*read()]
        self._containers.append((read, items))
        return items if size <= _MOST_LOOKED_INTO else ()

    def _read_by_name(self, getter: Any) -> Iterable[Any]:
        """The attributes that it is made to read, such as "a.b", are mentioned."""
        names = [name for name in getter.__reduce__()[1] if isinstance(name, str)]
        self._mentioned.update(*(name.split(".") for name in names))
        return ()

    def _parts_of_wrapper(self, thing: Any) -> Iterable[Any]:
        op = _attribute(thing, "op")
        if isinstance(op, Op):
            return op.forward, *op.vjps
        own: Iterable[Any] = ()
        # Where it is defined: its `__module__` is that of what it wraps.
        home = _attribute(thing, "__globals__") or {}
        if isinstance(thing, FunctionType) and not _is_of_library(home.get("__name__")):
            own = self._read_by(thing)
        return _attribute(thing, "__wrapped__"), *own

    def _read_by(self, function: FunctionType) -> Iterator[Any]:
        """What a function reads of closures and globals, and of itself."""
        self._containers.append((partial(_makings, function), [*_makings(function)]))
        if vars(function):
            self._objects.append(function)
        mentioned = {*_names_in(function.__code__)}
        self._mentioned |= mentioned
        self._any_attribute |= not mentioned.isdisjoint(_ANY_ATTRIBUTE)
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # not yet there
                continue
            self._cells[id(cell)] = cell, value
            yield value
        found = function.__globals__
        any_global = not mentioned.isdisjoint(_ANY_GLOBAL)
        for name in [*found] if any_global else mentioned & found.keys():
            yield self._named(found, found, name)
        if "getenv" in mentioned:
            yield os.environ
        yield function.__defaults__
        yield function.__kwdefaults__

    def _look_at_attributes(self) -> None:
        """Those that are mentioned anywhere, until nothing new is found."""
        known = None
        while known != (len(self._mentioned), len(self._seen)):
            known = len(self._mentioned), len(self._seen)
            for thing in self._objects:
                for part in [*self._attributes_of(thing)]:
                    self._look_at(part)

    def _attributes_of(self, thing: Any) -> Iterator[Any]:
        if isinstance(thing, ModuleType):
            yield from self._variables_of(thing)
            return
        own = _attribute(thing, "__dict__")
        if isinstance(thing, threading.local):  # each thread has others
            for name in self._mentioned_among(own):
                yield self._named(thing, _Attributes(thing), name)
        elif isinstance(own, dict):
            for name in self._mentioned_among(own):
                yield self._named(own, own, name)
        kinds = [kind for kind in _kinds_of(thing) if kind not in (object, type, Module)]
        users = [kind for kind in kinds if not _is_of_library(kind.__module__)]
        names = {name for kind in users for name in self._mentioned_among(vars(kind))}
        for name in names:
            yield from self._of_kinds(thing, users, name)
            if isinstance(own, dict):
                self._named(own, own, name)  # what would hide it
        for kind in kinds:
            yield from self._methods_of(kind)

    def _variables_of(self, module: ModuleType) -> Iterator[Any]:
        found = vars(module)
        kinds = _DATA if _is_installed(module) else object
        for name in self._mentioned_among(found):
            if isinstance(found[name], kinds):
                yield self._named(found, found, name)

    def _of_kinds(self, thing: Any, kinds: Sequence[type], name: str) -> Iterator[Any]:
        """What an attribute is in the classes of an object; one with slots has it there."""
        for kind in kinds:
            member = self._named(kind, vars(kind), name)
            if isinstance(member, MemberDescriptorType):
                yield self._named(thing, _Attributes(thing), name)
            else:
                yield member

    def _mentioned_among(self, names: Any) -> Iterable[str]:
        return [*names] if self._any_attribute else self._mentioned & names.keys()

    def _named(self, owner: Any, mapping: Any, name: str) -> Any:
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


class _Attributes:
    """Those of an object, as a mapping."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def get(self, name: str) -> Any:
        return _attribute(self.thing, name)


_READ_ANYWAY = (Module, SimpleNamespace, Namespace, ModuleType, threading.local)
_OPAQUE = (Tensor, *PLAIN[:-1])
_Environment = type(os.environ)
# What is held by what: a function of the container gives it.
_CONTAINERS: list[tuple[Any, Callable[[Any], Iterable[Any]]]] = [
    (list | set | deque | dict | MappingProxyType | _Environment, iter),
    (dict | MappingProxyType | _Environment, methodcaller("values")),
    (UserDict | UserList, lambda of: (of.data,)),
    (defaultdict, lambda of: (of.default_factory,)),
    (ChainMap, attrgetter("maps")),
    (ContextVar, lambda of: (of.get(None),)),
    (ref, lambda of: (of(),)),
    (Enum, lambda of: (of.value,)),
    (EnumType, lambda of: of.__members__.values()),
]
_DATA = (*PLAIN[1:-1], list, set, deque, dict, MappingProxyType, _Environment, ContextVar, *BUFFERS)


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
    """The state of a generator: another one as soon as somebody has drawn from it."""
    if isinstance(generator, random.Random):
        return pickle.dumps(generator.getstate())
    if isinstance(generator, np.random.RandomState):
        return pickle.dumps(generator.get_state(legacy=False))
    return pickle.dumps(getattr(generator, "bit_generator", generator).state)


def _attribute(thing: Any, name: str) -> Any:
    """That attribute, or None: an object of somebody's may raise whatever it likes."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _kinds_of(thing: Any) -> Iterator[type]:
    """The classes in which an attribute of it is looked for."""
    kind: Any = type(thing)
    if isinstance(thing, type):
        yield from thing.__mro__
    yield from kind.__mro__


def _holds(cell: CellType, value: Any) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:
        return False


def _are(now: Iterable[Any], before: list[Any]) -> bool:
    now = [*now]
    return len(now) == len(before) and all(map(same, now, before))


def _names_in(code: CodeType) -> Iterator[str]:
    """Globals and attributes that code mentions, also inside it, and in what it evaluates."""
    yield from code.co_names
    evaluates = not _EVALUATING.isdisjoint(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_in(part)
        elif evaluates and isinstance(part, str):
            yield from _names_in_text(part)


def _names_in_text(text: str) -> Iterator[str]:
    try:
        code = compile(text, "", "exec")
    except (SyntaxError, ValueError):
        return
    yield from _names_in(code)


def _home(thing: Any) -> str:
    """The module that an object's class comes from; of a class or module its own."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    kind = thing if isinstance(thing, type) else type(thing)
    return str(kind.__module__)


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is of an installed package: its code is trusted, only its data compared."""
    parts = Path(getattr(module, "__file__", None) or "").parts
    return _is_of_library(module.__name__) or not _INSTALLED.isdisjoint(parts)


def _is_of_library(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _LIBRARIES
