"""A pytest plugin for mutation testing: a third of the op table, no long chains, the likeliest to fail first.

`PYTHONPATH=tests pytest -p thinned tests/autograd`
"""

import zlib

LONG = ("million", "threads", "long_chain", "linear_in_the_cotangent", "many_uses")
FIRST = ("test_backward", "test_op.py", "test_tensor", "test_scope", "test_check")


def pytest_collection_modifyitems(items):
    def wanted(item):
        table = "test_ops.py" in item.nodeid and any(name in item.nodeid for name in ("central", "numpys"))
        return not any(name in item.nodeid for name in LONG) and not (table and zlib.crc32(item.nodeid.encode()) % 3)

    def rank(item):
        return next((i for i, name in enumerate(FIRST) if name in item.nodeid), len(FIRST))

    items[:] = sorted(filter(wanted, items), key=rank)
