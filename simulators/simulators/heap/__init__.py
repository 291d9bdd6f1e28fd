"""Heap's dumps on S3, made up: buckets, the ways in which they change and break, and what a warehouse should hold."""
