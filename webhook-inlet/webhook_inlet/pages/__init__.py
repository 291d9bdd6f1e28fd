"""What the inlet shows: the log for its readers, its status, metrics and health."""
