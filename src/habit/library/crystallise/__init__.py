"""Crystallise: a run that worked becomes a candidate habit: recorded, sliced, lifted, rehearsed, described."""
