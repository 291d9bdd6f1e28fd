"""The requirements: what pip builds in a checkout takes the kit from the folder beside it, since no index has the kit.

A requirement that names a folder fits this machine only. So everything else that builds (uv, build, cibuildwheel, and
pip from a source distribution, beside which there is no kit) gets the plain name. pip sets PIP_BUILD_TRACKER for its
builds; it does not promise to, and without it a checkout needs `pip install ./source-kit ./source-pendo`.
"""

import os
from pathlib import Path

from setuptools import setup

KIT = Path(__file__).resolve().parent.parent / "source-kit"
BY_PIP = "PIP_BUILD_TRACKER" in os.environ and "CIBUILDWHEEL" not in os.environ

setup(
    install_requires=[
        "airbyte-cdk>=7.39,<8",
        "msgspec>=0.20",
        "orjson>=3.10",
        f"source-kit @ {KIT.as_uri()}" if BY_PIP and KIT.is_dir() else "source-kit",
    ]
)
