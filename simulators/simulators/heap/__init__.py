"""Simulated dumps of Heap on S3: buckets, how they change and break, and the rows that a warehouse should hold."""
