"""The engine: tensors that remember how they were made, and their gradients. NumPy alone.

Read in this order: `state` (what is switched on), `tensor` (an array and its history), `op` (how a
node is recorded), `backward` (how gradients are found), `ops` (the table of all ops, by chapters),
`protocols` (what operators and NumPy's functions mean), `switches` (how `no_grad` and the like are
switched on and off), `heap` (what becomes of freed memory).
"""

from . import backward, ops, protocols  # they give Tensor its methods and operators
from .heap import keep_freed_memory

keep_freed_memory()

__all__ = ["backward", "ops", "protocols"]
