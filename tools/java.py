"""Whether Spark can run here: it needs Java 17 or a newer one.

`python tools/java.py` is silent where it can; else it says what is missing, and the exit code is 1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

OLDEST = 17
NEEDED = f"Java {OLDEST} or newer (package default-jre-headless)"


def java_version() -> int | None:
    """The major version of the Java that Spark would start: that of JAVA_HOME, else the first on the PATH."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)  # until 8 the first number was 1
    return int(found[1]) if found else None


def has_java() -> bool:
    return (java_version() or 0) >= OLDEST


if __name__ == "__main__":
    if not has_java():
        found = java_version()
        sys.exit(f"Spark needs {NEEDED}; found: {f'Java {found}' if found else 'none'}.")
