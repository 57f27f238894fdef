"""The copies in their columns: what stands where, and which way each connection goes."""
