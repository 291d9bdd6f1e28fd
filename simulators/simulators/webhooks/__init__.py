"""The senders of webhooks: simulated Pendo, Customer.io and Standard Webhooks, written from what the vendors publish.

They post events of a simulated account to any receiver, repeat what was not accepted as the vendor does, and keep a
ledger of what was accepted. `python -m simulators pendo --webhooks URL` and `customerio --webhooks URL` run them beside
the API. Tests use `sender.Sender`, `load` (prepared posts, as many as the machine can), `malformed` (bodies that a
receiver must store all the same) and `hostile` (clients that want to do harm).
"""
