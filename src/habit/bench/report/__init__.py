"""What the outcomes of benches say together: tables and plots of costs and of what was right."""
