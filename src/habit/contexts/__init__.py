"""Inputs: from files, folders and values to an exact context."""
