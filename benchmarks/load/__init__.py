"""A mixed load on a running Ponder, with exact counts of its own: what `/metrics` tells has to equal them."""
