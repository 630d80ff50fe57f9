"""The append-only record of what happened; replay and resume read it."""
