"""One file a verifier: each tells good candidates from bad ones."""
