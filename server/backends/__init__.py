"""Where tokens come from: engines, and how they are spoken to."""
