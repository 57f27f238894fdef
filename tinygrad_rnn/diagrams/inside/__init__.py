"""One opened copy: its ops as parts, their layout, and what comes back through them."""
