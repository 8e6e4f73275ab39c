"""Measurements of Ponder, and the simulated engine they run against."""
