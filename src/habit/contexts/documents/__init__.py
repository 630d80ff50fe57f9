"""Documents: what is no plain text, turned into text or rows by converters that run in a process of their own."""
