"""Receives webhooks of Pendo, Customer.io and senders that follow Standard Webhooks, and keeps them for their readers.

It knows no connector. The connectors read its log over HTTP or from the bucket.
"""
