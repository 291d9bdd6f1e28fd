"""Converts Avro object container files to lines of JSON.

`file` is what the rest of the connector uses: it opens a file and chooses the decoder. `container` splits the file into
blocks, and `declared` reduces its schema to one form.

Tables without arrays, maps and records in their columns, as Heap's are, go to `native_decoder`, whose rows are decoded
by the compiled module `native` (in C, in the folder `native/`); `columns` describes the table to it. `reference`
decodes everything else with fastavro, and everything where `native` is not installed; for it `skim` measures rows that
may be too large. What the values become is in `values`, `times` and `logical`.

`native_arrow` makes batches of Arrow instead of lines: `native` fills their columns, and `arrow` makes them of lines.
"""
