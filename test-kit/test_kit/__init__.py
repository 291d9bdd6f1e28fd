"""What the test suites, the demo and the benchmarks share. No image and no wheel of a connector contains it.

It imports no connector and no simulator: they are arguments, so that every suite can use it.

- `messages`: what a connector wrote, sorted
- `catalogs`: configured catalogs and states, as the platform writes them
- `command`: runs a connector's command line to its end, in this process or in another one
- `process`: runs it as a process that is read slowly, killed or interrupted
- `memory`: how much memory a process and its children take
- `destination`: a destination in memory that upserts by primary key
- `warehouse`: the same in a DuckDB file
"""
