"""Avro object container files to lines of JSON, exactly and fast.

Nothing here imports the CDK or boto3, so that the decoding processes stay small.

`container` takes a file apart into blocks, `declared` brings its schema into the one form that everything else reads,
and `skim` looks at rows that might be too large. `fast` decodes the blocks of flat tables with a function that is
generated for their schema; `reference` decodes everything else with fastavro. `decoder` picks one of the two and cuts
the result into pieces; `pool` and `worker` do that in processes of their own.
"""
