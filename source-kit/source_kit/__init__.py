"""What the connectors share: the command, the read path, HTTP, errors, state.

The CDK keeps what it does once per sync (spec, check, discover, config validation, secret filter, protocol models).
What it does once per record is done here once per batch: workers read slices, encode batches of records and hand
ready lines to one writer, through one channel in which a STATE can never overtake the records that it covers.
"""
