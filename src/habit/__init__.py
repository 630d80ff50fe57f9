"""Habit: recursive language models that form habits."""
