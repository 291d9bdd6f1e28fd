"""Where the lines are kept: on a volume or in a bucket, in one format."""
