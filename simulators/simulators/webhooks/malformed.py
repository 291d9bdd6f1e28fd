"""Bodies that a sender may sign and a receiver must keep, whatever is in them: a refusal would stop the sender."""

from __future__ import annotations

import json

from simulators.webhooks.customerio_events import BIG_CONTENT

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"  \r\n\t ",
    "no JSON": b"hello, world",
    "cut JSON": b'{"event_id":"01CUT","object_type":"ema',
    "two documents": b'{"event_id":"01TWO"}{"event_id":"01TWO2"}',
    "null": b"null",
    "a number": b"17",
    "a text": '"Grüße"'.encode(),
    "true": b"true",
    "empty object": b"{}",
    "empty array": b"[]",
    "array": b'[{"event_id":"01ARRAY1"},{"event_id":"01ARRAY2"}]',
    "array of anything": b'[1,null,"x",[],{"event":"guideDisplayed","uniqueId":"00aa"}]',
    "events in an object": b'{"events":[{"event_id":"01IN1"},{"event_id":"01IN2"}]}',
    "same key twice": b'{"event_id":"01DOUBLEA","event_id":"01DOUBLEB","data":{}}',
    "id is a number": b'{"event_id":17,"uniqueId":17,"event":5}',
    "id is empty": b'{"event_id":"","uniqueId":"","event":""}',
    "id is null": b'{"event_id":null,"uniqueId":null,"event":null}',
    "id is an object": b'{"event_id":{"a":1},"uniqueId":["x"],"event":{}}',
    "id is long": json.dumps({"event_id": "x" * 200_000, "event": "e", "uniqueId": "y" * 200_000}).encode(),
    "id with quotes and line feeds": b'{"event_id":"a\\"b\\\\c\\nd","event":"e\\nf","uniqueId":"\\"\\u0000"}',
    "id with NUL": b'{"event_id":"a\\u0000b","event":"x","uniqueId":"a\\u0000b"}',
    "id with a lone surrogate": b'{"event_id":"a\\ud800","event":"x","uniqueId":"a\\ud800"}',
    "lone surrogate": b'{"event_id":"01LONE","event":"x","uniqueId":"01lone","data":{"subject":"\\ud83d"}}',
    "NUL byte": b'{"event_id":"01NULBYTE","subject":"\x00"}',
    "not UTF-8": b'{"event_id":"01LATIN","subject":"Gr\xfc\xdfe"}',
    "UTF-16": '{"event_id":"01UTF16"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"event_id":"01BOM"}',
    "line feeds": b'{\n  "event_id": "01LINES",\r\n  "data": {}\n}\n',
    "NaN": b'{"event_id":"01NAN","value":NaN,"other":-Infinity}',
    "big integers": b'{"event_id":"01BIG","a":9223372036854775808,"b":-99999999999999999999999999,"c":1e999}',
    "deep": b'{"event_id":"01DEEP","data":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "very deep": b"[" * 200_000,
    "100,000 keys": json.dumps({f"k{number}": number for number in range(100_000)}).encode(),
    "metric nobody knows": b'{"event_id":"01METRIC","object_type":"email","metric":"teleported","data":{}}',
    "type nobody knows": b'{"event_id":"01TYPE","object_type":"hologram","metric":"sent","timestamp":1,"data":{}}',
    "data is a text": b'{"event_id":"01DATA","object_type":"email","metric":"sent","timestamp":"soon","data":"x"}',
    "event without uniqueId": b'{"event":"guideDisplayed","timestamp":1,"properties":{}}',
    "looks like a line of a log": b'{"v":1,"key":"customerio:01FORGED","at":1,"inlet":"x","sig":0,"body":{}}',
    "form": b"a=1&b=2",
    "random bytes": bytes(range(256)) * 40,
    "2 MiB of content": json.dumps({"event_id": "01TWOMIB", "data": {"content": "ü" * (BIG_CONTENT // 2)}}).encode(),
}
"""By a name for people. No two have the same bytes."""
