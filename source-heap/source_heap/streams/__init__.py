"""The streams: one for each table, and the dumps themselves."""
