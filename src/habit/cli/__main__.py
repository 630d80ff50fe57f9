"""``python -m habit.cli`` is the same as ``habit``."""

from habit.cli import main

main()
