"""The way of a post, from its first byte to its answer."""
