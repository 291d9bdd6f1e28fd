"""The module `native`, which is built from `native/*.c` where a compiler is at hand."""
