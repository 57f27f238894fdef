"""Rewrites that compute a program with fewer calls: sums, batches, chains."""
