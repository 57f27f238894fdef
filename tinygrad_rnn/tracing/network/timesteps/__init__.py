"""Which timestep every element of a value belongs to, and in which column that stands."""
