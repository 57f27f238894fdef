"""What is around a compiled function: once it is another, the function is recorded anew."""

import copy
import operator
import os
import pickle
import weakref
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from types import SimpleNamespace

import numpy as np
import pytest
from compiler.side_by_side import CALLS
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.compiler.guards import Guards

SCALE = 2.0


class Config:
    scale = 2.0
    layers = (1, 2)


class Child(Config):
    pass


class Scaled(tg.nn.Module):
    """Reads its attribute in a method of its own, and has two that it does not read."""

    factor = 1.0

    def __init__(self, scale=2.0):
        self.scale = scale
        self.weight = tg.nn.Parameter(np.ones(2))
        self.epoch = 0
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.weight * self.scale_of()

    def scale_of(self):
        return self.scale * self.factor


def scale_of(config):
    return config.scale


def global_scale():
    return SCALE


def change_global(value):
    globals()["SCALE"] = value


def default(x, options={"scale": 2.0}):  # noqa: B006  (it changes: that is the test)
    return x * options["scale"]


@tg.op(lambda g, y, x: g * ops_scale())
def by_rule(x):
    return x * ops_scale()


def ops_scale():
    return SCALE


# Each gives a function of x that is x times 2, and a way to make it x times a number.


def of_a_closure():
    scale = 2.0

    def change(value):
        nonlocal scale
        scale = value

    return lambda x: x * scale, change


def of_a_function_in_a_closure():
    fn, change = of_a_closure()
    return lambda x: fn(x), change


def of_a_list():
    scales = [2.0]
    return lambda x: x * scales[0], lambda value: operator.setitem(scales, 0, value)


def of_a_list_that_grows():
    scales = [2.0]
    return lambda x: x * sum(scales), lambda value: scales.append(value - sum(scales))


def of_a_dict():
    scales = {"a": {"b": 2.0}}
    return lambda x: x * scales["a"]["b"], lambda value: scales["a"].update(b=value)


def of_a_namespace():
    config = SimpleNamespace(scale=2.0)
    return lambda x: x * config.scale, lambda value: setattr(config, "scale", value)


def of_an_object():
    config = type("Mine", (), {})()
    config.scale = 2.0
    return lambda x: x * scale_of(config), lambda value: setattr(config, "scale", value)


def of_a_class():
    return lambda x: x * Config.scale, lambda value: setattr(Config, "scale", value)


def of_an_inherited_attribute():
    config = Child()
    return lambda x: x * config.scale, lambda value: setattr(Config, "scale", value)


def of_an_attribute_that_hides_that_of_the_class():
    config = Child()
    return lambda x: x * config.scale, lambda value: setattr(config, "scale", value)


def of_a_global():
    return lambda x: x * SCALE, change_global


def of_a_function_that_reads_a_global():
    return lambda x: x * global_scale(), change_global


def of_an_op():
    return lambda x: by_rule(x), change_global


def of_a_default():
    return default, lambda value: default.__defaults__[0].update(scale=value)


def of_a_default_that_is_replaced():
    def scaled(x, scale=2.0):
        return x * scale

    return scaled, lambda value: setattr(scaled, "__defaults__", (value,))


def of_a_keyword_default():
    def scaled(x, *, scale=2.0):
        return x * scale

    return scaled, lambda value: scaled.__kwdefaults__.update(scale=value)


def of_an_attribute_of_a_function():
    def scaled(x):
        return x * scaled.scale

    scaled.scale = 2.0
    return scaled, lambda value: setattr(scaled, "scale", value)


def of_code_that_is_replaced():
    """As a notebook does where a file has changed."""

    def scale():
        return 2.0

    def change(value):
        other = eval(f"lambda: {value}")
        scale.__code__ = other.__code__

    return lambda x: x * scale(), change


def of_a_wrapper():
    scales = [2.0]

    def scaled(fn):
        @wraps(fn)
        def wrapper(x):
            return fn(x) * scales[0]

        return wrapper

    return scaled(lambda x: x), lambda value: operator.setitem(scales, 0, value)


def of_what_is_wrapped():
    scales = [2.0]

    @contextmanager
    def scale():
        yield scales[0]

    def step(x):
        with scale() as number:
            return x * number

    return step, lambda value: operator.setitem(scales, 0, value)


def of_keywords_of_a_partial():
    scaled = partial(lambda x, scale: x * scale, scale=2.0)
    return lambda x: scaled(x), lambda value: scaled.keywords.update(scale=value)


def of_what_a_getter_reads():
    outer = SimpleNamespace(config=SimpleNamespace(scale=2.0))
    scale = operator.attrgetter("config.scale")
    return lambda x: x * scale(outer), lambda value: setattr(outer.config, "scale", value)


def of_what_a_caller_calls():
    module, call = Scaled(), operator.methodcaller("scale_of")
    return lambda x: x * call(module), lambda value: setattr(module, "scale", value)


def of_the_environment():
    def change(value):
        os.environ["SCALE"] = str(value)

    change(2.0)
    return lambda x: x * float(os.getenv("SCALE")), change


def of_a_proxy():
    config = Config()
    config.scale = 2.0
    near = weakref.proxy(config)
    return lambda x: x * near.scale, lambda value: setattr(config, "scale", value)


def of_what_a_dict_makes():
    scales = defaultdict(lambda: 2.0)

    def change(value):
        scales.default_factory = lambda: value

    return lambda x: x * scales.default_factory(), change


def of_what_is_evaluated():
    return lambda x: eval("x * SCALE"), change_global


def of_an_attribute_that_is_evaluated():
    config = SimpleNamespace(scale=2.0)
    step = lambda x: eval("x * config.scale", {"x": x, "config": config})
    return step, lambda value: setattr(config, "scale", value)


def of_a_partial():
    config = [2.0]
    return partial(lambda config, x: x * config[0], config), lambda value: config.insert(0, value)


def of_a_module():
    module = Scaled()
    return module, lambda value: setattr(module, "scale", value)


def of_a_module_in_a_list():
    modules = [Scaled(1.0), Scaled(2.0)]
    return (
        lambda x: modules[1](modules[0](x)),
        lambda value: setattr(modules[0], "scale", value / 2),
    )


def of_a_method():
    module = Scaled()
    return module.forward, lambda value: setattr(module, "scale", value)


def of_a_class_of_modules():
    module = Scaled()
    return lambda x: module(x), lambda value: setattr(Scaled, "factor", value / 2)


def of_a_replaced_parameter():
    module = Scaled()
    change = lambda value: setattr(module, "weight", tg.nn.Parameter(np.full(2, value / 2)))
    return module, change


def of_a_replaced_module():
    modules = [Scaled(2.0)]
    return lambda x: modules[0](x), lambda value: operator.setitem(modules, 0, Scaled(value))


def of_a_replaced_method():
    module = Scaled()
    return lambda x: module(x), lambda value: setattr(module, "scale_of", lambda: value)


def of_a_set():
    numbers = {2.0}

    def change(value):
        numbers.clear()
        numbers.add(value)

    return lambda x: x * sum(numbers), change


def of_a_deque():
    numbers = deque([2.0], maxlen=1)
    return lambda x: x * numbers[0], numbers.append


def of_a_replaced_tensor():
    box = [tg.tensor(2.0)]
    return lambda x: x * box[0], lambda value: operator.setitem(box, 0, tg.tensor(value))


AROUND = [value for name, value in list(globals().items()) if name.startswith("of_")]


@pytest.fixture(autouse=True)
def restored():
    yield
    Config.scale = 2.0
    Scaled.factor = 1.0
    change_global(2.0)
    default.__defaults__[0].update(scale=2.0)


@pytest.mark.parametrize("around", AROUND)
def test_what_is_read_around_a_function_is_guarded(around):
    fn, change = around()
    fast = tg.compile(fn)
    for value in (None, 6.0, 10.0, 6.0):
        if value is not None:
            change(value)
        for k in range(CALLS):
            expected = [k * (value or 2.0)] * 2
            assert fast(np.full(2, k + 0.0)).data.tolist() == expected


@pytest.mark.parametrize("around", one_in(3, AROUND))
def test_gradients_follow_too(around):
    fn, change = around()
    fast, x = tg.compile(lambda x: fn(x).sum().backward()), tg.tensor(np.ones(2))
    x.requires_grad = True
    for value in (2.0, 6.0):
        if value != 2.0:
            change(value)
        for _ in range(CALLS):
            x.grad = None
            fast(x)
            assert x.grad.data.tolist() == [value] * 2


def test_dropout_and_recurrent_layers_are_guarded():
    dropout = tg.nn.Dropout(0.5, rng=0)
    net = tg.nn.RNN(2, 30, num_layers=2, dropout=0.5, rng=0)
    fast, fast_net = tg.compile(lambda x: dropout(x)), tg.compile(lambda x: net(x)[0])
    for p in (0.5, 0.0, 0.25):
        dropout.p = net.dropout = p
        for _ in range(CALLS):
            zeros = (fast(np.ones(4000)).data == 0).mean()
            assert abs(zeros - p) < 0.05
            y = fast_net(np.ones((3, 1, 2)))
            assert (p == 0) == np.allclose(y.data, net(tg.tensor(np.ones((3, 1, 2))))[0].data)


def test_what_is_not_read_and_what_the_function_changes_itself_is_not_guarded():
    module, log = Scaled(), []
    runs = []

    def step(x):
        runs.append(True)
        log.append(len(log))
        return module(x)

    fast = tg.compile(step)
    for epoch in range(CALLS):
        module.epoch = epoch
        fast(np.ones(2))
    assert len(runs) == 3


def test_equal_numbers_are_the_same():
    scale, runs = 0.5, []

    def step(x):
        runs.append(True)
        return x * scale

    fast = tg.compile(step)
    for k in range(CALLS):
        scale = float(f"0.{5 * 10**k}")  # another object each time
        fast(np.ones(2))
    assert len(runs) == 3
    for zero in (0.0, -0.0):
        scale = zero
        assert np.signbit([fast(np.ones(1)).item() for _ in range(CALLS)]).tolist() == (
            [bool(np.signbit(zero))] * CALLS
        )


def test_a_variable_that_is_gone_is_noticed():
    scale = 2.0
    fast = tg.compile(lambda x: x * scale)  # noqa: F821
    fast(np.ones(1))
    del scale
    with pytest.raises(NameError):
        fast(np.ones(1))


def test_large_data_around_a_function_is_not_looked_through():
    rows = list(range(1_000_000))
    guards = Guards([lambda: rows])
    guards.settle()
    assert guards.hold()
    rows.append(0)
    assert not guards.hold()


def test_a_number_in_a_compiled_function_that_another_calls():
    scale = 2.0
    inner = tg.compile(lambda x: x * scale)
    outer = tg.compile(lambda x: inner(x) + ops.tanh(x) * 0)
    for value in (2.0, 3.0):
        scale = value
        assert [outer(np.ones(1)).item() for _ in range(CALLS)] == [value] * CALLS


class Net(tg.nn.Module):
    def __init__(self):
        self.w = tg.nn.Parameter(np.ones(2))
        self.fast = tg.compile(self.forward)

    def forward(self, x):
        return x * self.w


@dataclass
class Fields(tg.nn.Module):
    """Without a hash, and equal to another where all fields are."""

    w: tg.nn.Parameter = field(default_factory=lambda: tg.nn.Parameter(np.ones(2)))
    scale: float = 2.0

    def __post_init__(self):
        self.fast = tg.compile(self.forward)

    def forward(self, x):
        return x * self.w * self.scale

    @tg.compile
    def method(self, x):
        return self(x)


def test_a_module_that_is_a_dataclass():
    first, second = Fields(), Fields(scale=5.0)
    joined = tg.compile(lambda x: first(x) + second(x))
    for scale in (2.0, 3.0):
        first.scale = scale
        for k in range(CALLS):
            x = np.full(2, k + 1.0)
            assert joined(x).data.tolist() == [(k + 1) * (scale + 5)] * 2
            assert first.fast(x).data.tolist() == [(k + 1) * scale] * 2
            assert first.method(x).data.tolist() == [(k + 1) * scale] * 2
            assert second.method(x).data.tolist() == [(k + 1) * 5.0] * 2
    twin = pickle.loads(pickle.dumps(first))
    twin.w.data = np.full(2, 10.0)
    assert (
        twin.fast(np.ones(2)).data.tolist() == twin.method(np.ones(2)).data.tolist() == [30.0] * 2
    )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
@pytest.mark.parametrize("calls", [0, 1, CALLS])
def test_the_copy_of_a_compiled_method_is_of_the_copied_module(copied, calls):
    net = Net()
    for _ in range(calls):
        net.fast(np.ones(2))
    twin = copied(net)
    twin.w.data = np.full(2, 5.0)
    for _ in range(CALLS):
        assert twin.fast(np.ones(2)).data.tolist() == [5.0, 5.0]
        assert net.fast(np.ones(2)).data.tolist() == [1.0, 1.0]
