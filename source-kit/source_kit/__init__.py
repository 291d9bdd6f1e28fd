"""What the connectors share: the command, the read path, HTTP, errors, state.

The CDK does what happens once per sync (spec, check, discover, protocol models). What it does once per record, the kit
does once per batch: workers read slices and encode batches of records, and one writer writes them, in one order.
"""
