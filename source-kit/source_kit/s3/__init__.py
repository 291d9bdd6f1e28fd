"""Objects in a bucket of S3 or an alike: credentials, lists, downloads, retries, the table of errors."""
