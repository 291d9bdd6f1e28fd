"""All uses of the airbyte-cdk that its documentation does not promise. Check them for each new version of the CDK.

| module | what it relies on |
|---|---|
| `lazy_import` | sources need only submodules of `airbyte_cdk`; serpyco-rs takes descriptions from `attributes_doc` |
| `stand_ins` | what the CDK's sources name of requests-cache and pydantic when they are imported |
| `entry_point` | the methods of `AirbyteEntrypoint`, `_memory_monitor._check_interval`, `PRINT_BUFFER` |
| `state_keys` | the keys `__ab_...` of states |
"""
