"""What makes a program quicker, one row each: a pattern and a rule.

A rewrite of the whole program is a row here; one that looks at a single value is a peephole.
"""

from .adjacent import beside_each_other, in_one_row
from .batching import alike, in_one_call
from .carried import columns_not_handed_on, made_apart, made_of_each, products_side_by_side
from .chains import laid_out_once, overlapping_stacks, seen_in_wholes, stacks_of_parts
from .products import products_of_one, stacked
from .rewriter import Rewrite
from .sums import in_order_made, long_sums, products_of_rows, summed_at_once

SUMS = (
    Rewrite("terms of one kind are one product or reduction", long_sums, summed_at_once),
    Rewrite("rows go in the order in which they were made", products_of_rows, in_order_made),
    Rewrite("products of one operand are one, of stacked parameters", products_of_one, stacked),
)
# Pass after pass, each with rows that match different values of one program.
PASSES = (
    (Rewrite("a loop reads only what it carries", products_side_by_side, made_of_each),),
    SUMS,
    (Rewrite("a loop hands back only what it carries", columns_not_handed_on, made_apart),),
    (Rewrite("parts beside each other are one call", beside_each_other, in_one_row),),
    (Rewrite("what is alike at every step is one call", alike, in_one_call),),
    (Rewrite("stacks of parts are parts of a stack", stacks_of_parts, seen_in_wholes),),
    (Rewrite("sequences that overlap are parts of one", overlapping_stacks, laid_out_once),),
)
