"""Which variable of a frame holds a value, or which part of one."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import lru_cache
from types import FrameType, FunctionType, ModuleType
from typing import Any, TypeGuard, cast

from .frames import user_frames

_HELD_MOST = 1000  # how long a list may be that is looked through for a parameter


def variable_name(value: object) -> str | None:
    """The variable that holds `value` in the innermost frame of the user's code, if any."""
    return _name_in(variables_of([next(user_frames())]), value)


def callers_name(value: object) -> str | None:
    """The variable that holds `value` in the outermost frame of the user's code that has it.

    So a helper that it is given to does not name it. Where a frame has no such variable, a dict or
    an object in it may hold it: then it is the key, or the attribute. A number in a list, "Ws.0",
    is a name only for what has no other.
    """
    seen, passed = set[int](), list[tuple[str, object]]()
    for frame in reversed(list(user_frames())):
        variables = list(variables_of([frame], seen))
        found = _name_in(variables, value) or _name_within(variables, value, by_name)
        if found is not None:
            return found
        passed += variables
    return _name_within(passed, value, _by_number)


def modules_name(module: object) -> str | None:
    """The same of a module that the program calls; in a list, "cells.0" and not the loop's "cell".

    The variable of a loop is what holds this one of the list alone: in turn it holds all of them.
    """
    seen, variables = set[int](), list[tuple[str, object]]()
    for frame in reversed(list(user_frames())):
        variables += variables_of([frame], seen)
        held = {id(value) for _, value in variables}
        if id(module) in held:
            lists = ((name, value) for name, value in variables if _is_list_of(value, module))
            for name, value in lists:
                if sum(id(one) in held for one in value) == 1 < len(value):
                    return _name_in_sequence(name, value, module)
            break
    return callers_name(module)


def _is_list_of(held: object, value: object) -> TypeGuard[Sequence[object]]:
    if not isinstance(held, list | tuple) or len(cast("Sized", held)) > _HELD_MOST:
        return False
    # of a copy: a program that traces its own lines may add one to a list at each of ours
    return any(one is value for one in tuple(cast("Sequence[object]", held)))


def _name_in(variables: Iterable[tuple[str, object]], value: object) -> str | None:
    return next((name for name, held in variables if held is value), None)


_Within = Callable[[str, Any, object], str | None]  # the name of what a variable holds


def _name_within(
    variables: Iterable[tuple[str, object]],
    value: object,
    within_kind: Callable[[type], _Within | None],
) -> str | None:
    for name, held in variables:
        within = within_kind(type(held))
        found = None if within is None else within(name, held, value)
        if found is not None:
            return found
    return None


def variables_of(
    frames: Iterable[FrameType], seen: set[int] | None = None
) -> Iterator[tuple[str, object]]:
    """Local and global variables whose names begin with no underscore.

    A module's are gone through once, however many frames it has: `seen` are those that were.
    A notebook or a test has dozens of frames of few modules around each op. They are listed first:
    another thread, or a signal's handler, may make a variable meanwhile.
    """
    seen = set() if seen is None else seen
    for frame in frames:
        module = frame.f_globals
        found = [] if frame.f_locals is module else list(frame.f_locals.items())
        if id(module) not in seen:
            seen.add(id(module))
            found += list(module.items())
        for name, held in found:
            if name[:1] != "_":
                yield name, held


@lru_cache(maxsize=4096)
def _by_number(kind: type) -> _Within | None:
    """How what a list or tuple holds is named."""
    return _name_in_sequence if issubclass(kind, list | tuple) else None


@lru_cache(maxsize=4096)
def by_name(kind: type) -> _Within | None:
    """How what a variable of this type holds under a name is found, if it may."""
    if issubclass(kind, dict):
        return _name_in_dict
    if issubclass(kind, list | tuple):
        return None
    # An instance of a class of the user's: not a module, a function or a class.
    has_attributes = kind.__dictoffset__ != 0
    if has_attributes and not issubclass(kind, type | ModuleType | FunctionType):
        return name_in_object
    return None


def _name_in_dict(name: str, held: dict[Any, Any], value: object) -> str | None:
    if len(held) > _HELD_MOST:
        return None
    pairs = held.items()
    return next((key for key, one in pairs if one is value and isinstance(key, str)), None)


def _name_in_sequence(name: str, held: Sequence[Any], value: object) -> str | None:
    if len(held) > _HELD_MOST:
        return None
    return next((f"{name}.{i}" for i, one in enumerate(held) if one is value), None)


def name_in_object(name: str, held: Any, value: object) -> str | None:
    """The name of what an attribute of an object holds."""
    attributes: dict[str, Any] = getattr(held, "__dict__", {})
    return next((key for key, one in attributes.items() if one is value), None)


def value_of(frame: FrameType, name: str) -> Any:
    """What a variable of a frame holds, local or global."""
    return frame.f_locals.get(name, frame.f_globals.get(name))
