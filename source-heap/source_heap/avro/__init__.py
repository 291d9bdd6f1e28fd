"""Converts Avro object container files to lines of JSON.

Nothing here imports the CDK or boto3, so that the decoding processes stay small.

`container` splits a file into blocks, `declared` reduces its schema to one form, and `skim` measures rows that may be
too large. `fast` decodes the blocks of flat tables with a function that is generated for their schema; `reference`
decodes everything else with fastavro. `decoder` chooses one of the two and cuts the output into chunks; `pool` and
`worker` do that in separate processes.
"""
