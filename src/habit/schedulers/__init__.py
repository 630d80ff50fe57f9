"""Code that decides the next calls."""
