"""The engine: tensors that remember how they were made, and their gradients. NumPy alone.

Read in this order: `state` (what is switched on), `tensor` (an array and its history), `op` (how a
node is recorded), `backward` (how gradients are found), and `ops`, the table of all ops.
"""

from . import backward, ops  # they give Tensor its operators and methods

__all__ = ["backward", "ops"]
