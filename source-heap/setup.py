"""The requirements. In a checkout pip takes the kit from the folder beside; as source-pendo, which has the reasons."""

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
        "cramjam>=2.8",
        "fastavro>=1.9",
        "isal>=1.7",
        "orjson>=3.10",
        f"source-kit @ {KIT.as_uri()}" if BY_PIP and IS_CHECKOUT else "source-kit",
    ]
)
