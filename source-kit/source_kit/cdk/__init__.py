"""Every hook into the airbyte-cdk that its documentation does not promise. A new version of the CDK is tried here.

| module | what it relies on |
|---|---|
| `lazy_import` | a source needs only submodules of `airbyte_cdk`; how serpyco-rs finds descriptions of models |
| `entry_point` | the methods of `AirbyteEntrypoint`, `_memory_monitor._check_interval`, `PRINT_BUFFER` |
| `state_keys` | the keys `__ab_...` of states |
"""
