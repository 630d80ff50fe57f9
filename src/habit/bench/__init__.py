"""The bench: inputs with a hidden truth, questions about them, and what answering costs each scheduler."""
