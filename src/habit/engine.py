"""Engine: picks a scheduler, opens a run, and says how it ended. The Python surface of Habit."""
