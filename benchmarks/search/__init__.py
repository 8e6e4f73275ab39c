"""How fast searches over steps generate, beside plain samples on the same engine."""
