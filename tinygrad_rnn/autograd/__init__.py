"""The engine: tensors that remember how they were made, and gradients that follow from it. NumPy alone."""
