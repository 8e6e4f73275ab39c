"""Ways of spending test-time compute. Knows nothing of HTTP, streaming, metrics or vLLM."""
