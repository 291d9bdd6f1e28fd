"""Runs the connector from its directory: `python main.py read --config ...`."""

from __future__ import annotations

from source_pendo.run import run

if __name__ == "__main__":
    run()
