"""The library: schedulers that worked, kept as versioned, tested and approved habits in a git repository."""
