"""The kernel and what it needs: the only door to a model."""
