"""Where model-written code runs: the session seam and its backends."""
