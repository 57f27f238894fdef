"""Memory that a step frees stays with the process, where the next step finds it.

A training step makes a graph and frees it, and so does the next. The GNU C library hands what is
freed at the end of its heap back to the system, which clears each page when it is asked for again:
a third of the time of a step whose graph takes 30 MB.
"""

import numpy as np

# The library keeps twice the size of the largest block that it has had apart from its heap and that
# was freed, and has none of more than 32 MB; see M_MMAP_THRESHOLD in mallopt(3). Who sets
# MALLOC_TRIM_THRESHOLD_ decides alone. Elsewhere this does nothing.
_LARGEST = 32 * 2**20
_ROOM_FOR_ITS_HEADER = 2**13


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory; no page of the block is touched."""
    np.empty(_LARGEST - _ROOM_FOR_ITS_HEADER, np.uint8)
