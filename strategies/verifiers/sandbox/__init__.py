"""Running code that nobody trusts: what it may touch, who tests it, and how its verdict stays out of its reach."""
