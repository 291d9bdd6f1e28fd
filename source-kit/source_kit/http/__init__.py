"""HTTP: a client that streams hold, retries, bodies that arrive whole, rows cut out of them."""
