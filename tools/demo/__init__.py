"""`make demo`: the three connectors read the bundled simulators side by side into a DuckDB file.

`__main__` has the options and the order of things. `vendors` and `inlet` run what is read, `programs` and `containers`
run the connectors, `sync` reads one of them, `progress` shows it, `changes` and `history` count and keep what each run
brought, `answers` and `page` show what can be done with the rows.
"""
