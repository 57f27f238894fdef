"""Every op with its VJP: the pages to read, one a chapter.

In the formulas `x a b` are inputs, `y` is the output and `g` its cotangent ∂L/∂y, written ȳ in the
docstrings; x̄ is what the formula returns. A formula serves ndarrays and Tensors alike. Broadcasting
is undone elsewhere (`op.py`), once for all.

>>> from tinygrad_rnn import ops, tensor
>>> ops.tanh(tensor(0.0, requires_grad=True))
tensor(0., op=tanh)
"""

# ruff: noqa: F403
from . import (
    arithmetic,
    choices,
    composed,
    contractions,
    creation,
    functions,
    parts,
    probabilities,
    products,
    reductions,
    shapes,
)
from .arithmetic import *
from .choices import *
from .composed import *
from .contractions import *
from .creation import *
from .functions import *
from .parts import *
from .probabilities import *
from .products import *
from .reductions import *
from .shapes import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += choices.__all__
__all__ += composed.__all__
__all__ += contractions.__all__
__all__ += creation.__all__
__all__ += functions.__all__
__all__ += parts.__all__
__all__ += probabilities.__all__
__all__ += products.__all__
__all__ += reductions.__all__
__all__ += shapes.__all__
