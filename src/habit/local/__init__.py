"""The local model: its file, and the llama.cpp server process that serves it."""
