"""The command line: `habit ask`, and what looks after runs and local models."""

from habit.cli.app import main

__all__ = ["main"]
