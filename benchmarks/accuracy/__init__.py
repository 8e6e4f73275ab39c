"""Accuracy: what a strategy or a verifier is worth, on problems with a known answer."""
