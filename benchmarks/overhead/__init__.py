"""What a gateway adds to an engine's own time and work."""
