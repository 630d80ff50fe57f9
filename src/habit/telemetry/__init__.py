"""What happens during a run, for other programs: events as JSON lines, and OpenTelemetry spans."""
