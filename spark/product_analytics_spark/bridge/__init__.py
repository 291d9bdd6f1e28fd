"""Streams of Pendo and Customer.io as Spark data sources."""
