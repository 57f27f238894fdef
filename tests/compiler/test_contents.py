"""Numbers around a compiled function that change in place, wherever it finds them."""

import array
import contextvars
import enum
import functools
import os
import random
import tempfile
import threading
import types
import warnings
import weakref
from collections import ChainMap, UserDict, UserList
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.compiler.contents import MOST_BYTES, Contents

NUMBERS = np.full(2, 2.0)
ELSEWHERE = types.ModuleType("elsewhere")
exec("def step(x): return x * SCALE\ndef by_array(x): return x * NUMBERS", ELSEWHERE.__dict__)
ELSEWHERE.step.__module__ = ELSEWHERE.by_array.__module__ = "elsewhere"


@tg.op(lambda g, y, x, mask: g * mask)
def masked(x, mask):
    return x * mask


def fill(target, at=...):
    def change(value):
        target[at] = value

    return change


def setter(owner, name):
    return lambda value: setattr(owner, name, value)


# Each gives a function of x that is x times 2, and a way to make it x times a number.


def a_global():
    NUMBERS[:] = 2
    return lambda x: x * NUMBERS, fill(NUMBERS)


def a_closure():
    a = np.full(2, 2.0)
    return lambda x: x * a, fill(a)


def a_list():
    arrays = [np.ones(2), np.full(2, 2.0)]
    return lambda x: x * arrays[0] * arrays[1], fill(arrays[1])


def a_long_list():
    arrays = [np.full(2, 2.0) for _ in range(2_000)]
    return lambda x: x * arrays[1_500], fill(arrays[1_500])


def a_dict():
    arrays = {"a": {"b": np.full(2, 2.0)}}
    return lambda x: x * arrays["a"]["b"], fill(arrays["a"]["b"])


def an_attribute():
    config = SimpleNamespace(a=np.full(2, 2.0))
    return lambda x: x * config.a, fill(config.a)


def an_attribute_of_a_module():
    class Masked(tg.nn.Module):
        def __init__(self):
            self.mask = np.full(2, 2.0)

        def forward(self, x):
            return x * self.mask

    module = Masked()
    return module, fill(module.mask)


def an_attribute_behind_a_property():
    class Holder:
        def __init__(self):
            self._a = np.full(2, 2.0)

        @property
        def a(self):
            return self._a

        def __getitem__(self, index):
            return self._a[index]

    holder = Holder()
    return lambda x: x * (holder.a + holder[:]) * 0.5, fill(holder.a)


def an_attribute_of_a_class():
    class Config:
        a = np.full(2, 2.0)

        @classmethod
        def scaled(cls, x):
            return x * cls.a

    return lambda x: Config.scaled(x) * 0.5 + x * Config.a * 0.5, fill(Config.a)


def an_attribute_in_slots():
    @dataclass(slots=True)
    class Slots:
        a: np.ndarray

    slots = Slots(np.full(2, 2.0))
    return lambda x: x * slots.a, fill(slots.a)


def a_variable_of_a_module():
    ELSEWHERE.NUMBERS = np.full(2, 2.0)
    return lambda x: x * ELSEWHERE.NUMBERS, fill(ELSEWHERE.NUMBERS)


def a_global_of_a_function_elsewhere():
    ELSEWHERE.NUMBERS = np.full(2, 2.0)
    return lambda x: ELSEWHERE.by_array(x), fill(ELSEWHERE.NUMBERS)


def a_default():
    def fn(x, a=np.full(2, 2.0)):  # noqa: B008
        return x * a

    return fn, fill(fn.__defaults__[0])


def an_argument_of_a_partial():
    a = np.full(2, 2.0)
    return functools.partial(lambda a, x: x * a, a), fill(a)


def a_cache():
    @functools.cache
    def made():
        return np.full(2, 2.0)

    return lambda x: x * made(), lambda value: fill(made())(value)


def by_a_name_that_is_computed():
    holder, name = type("Holder", (), {})(), "a"
    holder.a1 = np.full(2, 2.0)
    return lambda x: x * getattr(holder, name + "1"), fill(holder.a1)


def the_owner_of_a_view():
    owner = np.full((3, 2), 2.0)
    view = owner[1]
    return lambda x: x * view, fill(owner)


def the_owner_of_a_view_that_is_read_only():
    owner = np.full((3, 2), 2.0)
    view = owner[1].view()
    view.flags.writeable = False
    return lambda x: x * view, fill(owner)


def a_row_of_a_list_of_rows():
    tables = [np.full((3, 2), 2.0) for _ in range(2_000)]
    return lambda x: x * tables[1_500][1], fill(tables[1_500])


def through_numpy_alone():
    a = np.full(2, 2.0)
    return lambda x: x * np.stack([a, a])[0].sum() * 0.5, fill(a)


def what_decides():
    a = np.full(2, 2.0)
    return lambda x: x * 2.0 if a[0] == 2 else x * a.max(), fill(a)


def an_option():
    mask = np.full(2, 2.0)
    return lambda x: masked(x, mask), fill(mask)


def an_index():
    index, table = np.array([0, 0]), tg.tensor(np.arange(20.0) + 2)
    return lambda x: x * table[index], lambda value: fill(index)(int(value) - 2)


def an_array_of_any_order():
    a = np.asfortranarray(np.full((60, 60), 2.0))
    return lambda x: x * a[1, :2], fill(a)


def a_strided_array():
    a = np.full(2_000, 2.0)
    every = a[::2]
    return lambda x: x * every[:2], fill(a)


def a_large_array():
    a = np.full(100_000, 2.0)
    return lambda x: x * a[-2:], fill(a)


def an_array_without_axes():
    a = np.array(2.0)
    return lambda x: x * a, fill(a)


def an_array_of_objects():
    objects = np.empty(1, object)
    objects[0] = [2.0]
    return lambda x: x * objects[0][0], fill(objects[0], 0)


def a_masked_array():
    a = np.ma.array([2.0, 90.0], mask=[False, True])

    def change(value):
        a.mask[:] = False
        a.data[:] = value

    return lambda x: x * a.max(), change


def a_file_in_memory():
    with tempfile.TemporaryFile() as file:
        a = np.memmap(file, float, "w+", shape=2)
    a[:] = 2
    return lambda x: x * a, fill(a)


def a_method_of_an_array():
    sum_of = np.ones(2).sum
    return lambda x: x * sum_of(), lambda value: fill(sum_of.__self__)(value / 2)


def a_bytearray():
    numbers = bytearray([2])
    return lambda x: x * numbers[0], lambda value: fill(numbers, 0)(int(value))


def an_array_of_the_machine():
    numbers = array.array("d", [2.0])
    return lambda x: x * numbers[0], fill(numbers, 0)


def a_memoryview():
    numbers = np.full(2, 2.0)
    seen = memoryview(numbers)
    return lambda x: x * seen[0], fill(numbers)


def a_hook():
    a, w = np.full(2, 2.0), tg.tensor([1.0, 1.0], requires_grad=True)
    w.register_hook(lambda g: g * a)
    return lambda x: tg.grad((w * x).sum(), w), fill(a)


def a_number_that_a_hook_reads():
    scale, w = [2.0], tg.tensor([1.0, 1.0], requires_grad=True)
    w.register_hook(lambda g: g * scale[0])
    return lambda x: tg.grad((w * x).sum(), w), fill(scale, 0)


def a_number_in_a_longer_list():
    scales = [2.0] * 500
    return lambda x: x * scales[300], fill(scales, 300)


def a_number_in_slots():
    class Slots:
        __slots__ = ("scale",)

    slots = Slots()
    slots.scale = 2.0
    return lambda x: x * slots.scale, setter(slots, "scale")


def a_number_of_a_metaclass():
    class Meta(type):
        scale = 2.0

    class Config(metaclass=Meta):
        pass

    return lambda x: x * Config.scale, setter(Meta, "scale")


def a_number_of_a_parent_that_the_class_hides_later():
    class Parent:
        scale = 2.0

    class Child(Parent):
        pass

    return lambda x: x * Child.scale, setter(Child, "scale")


def a_list_of_a_class():
    class Config:
        scales = [2.0]  # noqa: RUF012

    return lambda x: x * Config.scales[0], fill(Config.scales, 0)


def a_number_of_a_function_elsewhere():
    ELSEWHERE.SCALE = 2.0
    return lambda x: ELSEWHERE.step(x), setter(ELSEWHERE, "SCALE")


def a_number_by_a_name_that_is_computed():
    holder, name = type("Holder", (), {})(), "a"
    holder.a1 = 2.0
    return lambda x: x * getattr(holder, name + "1"), setter(holder, "a1")


def a_number_that_getattr_finds():
    class Finds:
        def __getattr__(self, name):
            return self.__dict__["store"][name]

    finds = Finds()
    finds.__dict__["store"] = {"scale": 2.0}
    return lambda x: x * finds.scale, fill(finds.store, "scale")


def a_context_variable():
    scale = contextvars.ContextVar("scale", default=2.0)
    return lambda x: x * scale.get(), scale.set


def a_variable_of_this_thread():
    local = threading.local()
    local.scale = 2.0
    return lambda x: x * local.scale, setter(local, "scale")


def a_variable_of_the_environment():
    os.environ["TINYGRAD_RNN_SCALE"] = "2"

    def change(value):
        os.environ["TINYGRAD_RNN_SCALE"] = str(value)

    return lambda x: x * float(os.environ["TINYGRAD_RNN_SCALE"]), change


def a_dict_of_collections():
    scales = UserDict(a=2.0)
    return lambda x: x * scales["a"], fill(scales, "a")


def a_list_of_collections():
    scales = UserList([2.0])
    return lambda x: x * scales[0], fill(scales, 0)


def a_chain_of_dicts():
    scales = {"a": 2.0}
    chain = ChainMap({}, scales)
    return lambda x: x * chain["a"], fill(scales, "a")


def a_dict_that_is_read_only():
    scales = {"a": 2.0}
    proxy = types.MappingProxyType(scales)
    return lambda x: x * proxy["a"], fill(scales, "a")


def a_weak_reference():
    config = type("Config", (), {})()
    config.scale = 2.0
    found = weakref.ref(config)
    return lambda x: x * found().scale, setter(config, "scale")


def a_member_of_an_enumeration():
    class Scales(enum.Enum):
        A = [2.0]  # noqa: RUF012

    return lambda x: x * Scales.A.value[0], fill(Scales.A.value, 0)


AROUND = [
    function
    for name, function in list(globals().items())
    if name.startswith(("a_", "an_", "by_a_", "the_owner", "through_", "what_"))
]


@pytest.mark.parametrize("around", AROUND)
def test_what_changes_in_place_is_noticed_at_the_next_call(around):
    fn, change = around()
    fast = tg.compile(fn)
    for value in (2.0, 6.0, 10.0):
        change(value)
        for k in range(3):
            assert fast(np.full(2, k + 1.0)).data.tolist() == [(k + 1) * value] * 2
    for value in (6.0, 10.0, 2.0):  # each is recorded already
        change(value)
        assert fast(np.ones(2)).data.tolist() == [value] * 2


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "c16", "i1", "?", "M8[s]", "U3", "V8"])
@pytest.mark.parametrize("length", [2, 20_000])
def test_arrays_of_any_dtype_and_length_are_compared(dtype, length):
    numbers = np.zeros(length, dtype)
    other = np.frombuffer(b"\1" * numbers.itemsize, numbers.dtype)[0]
    contents = Contents()
    contents.meet(numbers)
    contents.settle()
    assert contents.hold()
    before = numbers[-1].copy()
    numbers[-1] = other
    assert not contents.hold()
    numbers[-1] = before
    assert contents.hold()


def test_signed_zeros_and_nan_are_numbers_like_others():
    numbers = np.array([0.0, np.nan])
    contents = Contents()
    contents.meet(numbers)
    contents.settle()
    assert contents.hold()
    numbers[0] = -0.0
    assert not contents.hold()


@pytest.mark.parametrize("half", [2, 1000])
def test_another_shape_is_another_array(half):
    a = np.arange(2.0 * half).reshape(2, half)
    fast = tg.compile(lambda x: x * a[0, -1])
    assert [fast(np.ones(1)).item() for _ in range(3)] == [half - 1] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a.shape = (1, 2 * half)
    assert [fast(np.ones(1)).item() for _ in range(3)] == [2 * half - 1] * 3


@pytest.mark.parametrize("more", [0, 1])
def test_so_many_bytes_are_compared_and_no_more(more):
    numbers = np.zeros(MOST_BYTES + more, np.uint8)
    contents = Contents()
    contents.meet(numbers)
    contents.settle()
    assert contents.nbytes == MOST_BYTES + more
    numbers[-1] = 1
    assert contents.hold() is bool(more)


def test_of_what_the_run_makes_and_what_it_finds_the_second_is_compared():
    found = [np.full(2, 2.0)]
    fast = tg.compile(lambda x: x * np.ones(2) * next(iter(found)))
    for value in (2.0, 6.0):
        found[0][:] = value
        assert [fast(np.ones(2)).data.tolist() for _ in range(3)] == [[value] * 2] * 3


def test_a_buffer_may_become_longer():
    numbers = bytearray([2])
    fast = tg.compile(lambda x: x * len(numbers))
    for length in (1, 2, 3):
        assert [fast(np.ones(1)).item() for _ in range(3)] == [length] * 3
        numbers.append(0)


def test_arrays_that_the_run_makes_itself_are_not_kept():
    runs, made = [], []

    def step(x):
        runs.append(True)
        rows = np.ones((3, 2))
        made.append(weakref.ref(rows))
        return x * rows[0] + rows[1] * np.ones(2)

    fast = tg.compile(step)
    for _ in range(3):
        fast(np.ones(2))
    assert len(runs) == 2
    assert [found() for found in made] == [None, None]


def test_arrays_that_are_read_only_are_not_compared():
    a = np.full(MOST_BYTES, 2.0)
    a.flags.writeable = False
    fast = tg.compile(lambda x: x * a[0])
    assert [fast(np.ones(1)).item() for _ in range(3)] == [2.0] * 3
    a.flags.writeable = True
    a[0] = 3.0
    with pytest.warns(UserWarning, match=r"mentions 64 MiB of arrays .* read-only"):
        assert fast(np.ones(1)).item() == 3.0


@pytest.mark.parametrize(
    ("draw", "what"),
    [
        (np.zeros(MOST_BYTES // 8 + 1).sum, "8 MiB of arrays"),
        (random.SystemRandom().random, "random numbers of the system"),
    ],
)
def test_what_cannot_be_known_to_be_the_same_runs_as_it_is(draw, what):
    w, runs = tg.tensor([1.0], requires_grad=True), []

    def step(x):
        runs.append(draw())
        (w * x).sum().backward()
        return ops.tanh(w * x)

    fast = tg.compile(step)
    with pytest.warns(UserWarning, match=f"step mentions {what} around it") as told:
        fast(np.ones(1))
    assert told[0].filename == __file__
    for _ in range(4):
        fast(np.ones(1))
    assert len(runs) == 5
    assert w.grad.item() == 5.0
    with pytest.raises(tg.errors.CompileError, match="around it"):
        fast.report()
