"""The network in a recorded graph: an exact quotient of the graph by its blocks.

How to read one, see `quotient.py` for every field:

- `blocks.network_of(graph)` is the `Quotient`, or None where nothing in the graph is recurrent.
- `quotient.rows`, bottom row first, each with its `blocks` from left to right by `t`; a block
  stands in `block.columns`. Inputs and initial states are blocks without a row, in the column of
  their reader; parameters, derived parameters and constants stand in no column; there is one
  `quotient.loss`.
- `quotient.arrows`: each from a block to a block, with all reads across. Nothing is folded here: a
  between-block with a `sign` may be drawn as that sign on its arrow, one whose sign is "" as
  nothing (its arrows in and out become one).
- `quotient.outputs`: circles at the ends of arrows into the loss, or of what the root is.
- `gradients.norms.norms_of(quotient)` is what a backward pass handed back: at each block, along
  each arrow.

How one is made, a room or a file for each step: `copies` of one network are found among the ops;
every element gets its timestep, and every copy its column (`timesteps`); what is left goes into
blocks (`grouping`), with `arrows` between them; these get their names (`words`); and `blocks` puts
all of it together, in `rows`.
"""
