"""Which block every piece of a value belongs to: the first that fits."""
