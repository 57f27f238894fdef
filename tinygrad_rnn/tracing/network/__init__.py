"""The network in a recorded graph: its copies, and what each hands to the next."""
