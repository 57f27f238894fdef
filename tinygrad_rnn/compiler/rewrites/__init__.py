"""What makes a program quicker, one row each: a pattern and a rule.

A rewrite of the whole program is a row here; one that looks at a single value is a peephole.
"""

from .batching import alike, in_one_call
from .chains import laid_out_once, overlapping_stacks
from .rewriter import Rewrite
from .sums import in_order_made, long_sums, products_of_rows, summed_at_once

# Pass after pass, each with rows that match different values of one program.
PASSES = (
    (
        Rewrite("terms of one kind are one product or reduction", long_sums, summed_at_once),
        Rewrite("rows go in the order in which they were made", products_of_rows, in_order_made),
    ),
    (Rewrite("what is alike at every step is one call", alike, in_one_call),),
    (Rewrite("sequences that overlap are parts of one", overlapping_stacks, laid_out_once),),
)
