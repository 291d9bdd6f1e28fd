"""The requirements: what pip builds in a checkout takes the kit from the folder beside it, since no index has the kit.

A requirement that names a folder fits this machine only. So everything else that builds (uv, build, cibuildwheel, and
pip from a source distribution, which has PKG-INFO and any folders beside it) gets the plain name. pip sets
PIP_BUILD_TRACKER for its builds; it does not promise to, and without it a checkout needs
`pip install ./source-kit ./source-pendo`. pip refuses `-e ./source-kit -e ./source-pendo`: `make setup` does that.
"""

import os
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
KIT = HERE.parent / "source-kit"
IS_CHECKOUT = KIT.is_dir() and not (HERE / "PKG-INFO").exists()
BY_PIP = "PIP_BUILD_TRACKER" in os.environ and "CIBUILDWHEEL" not in os.environ

setup(
    install_requires=[
        "airbyte-cdk>=7.39,<8",
        "msgspec>=0.20",
        "orjson>=3.10",
        f"source-kit @ {KIT.as_uri()}" if BY_PIP and IS_CHECKOUT else "source-kit",
    ]
)
