"""Which ops are copies of one network, and what each passes to its successor."""
