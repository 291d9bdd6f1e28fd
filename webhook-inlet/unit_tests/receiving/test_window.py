"""The window of known keys: exact, bounded, rebuilt by number."""

from collections.abc import Iterator

from webhook_inlet.receiving.window import KeyWindow, read_keys


def digest(number: int, inlet: str = "a") -> bytes:
    return KeyWindow.digest(inlet, b"customerio:%d" % number)


def test_the_last_keys_are_known_and_the_number_is_bounded() -> None:
    window = KeyWindow(100)
    for number in range(1000):
        window.add(digest(number))
        known = [old in window for old in map(digest, range(max(0, number - 99), number + 1))]
        assert all(known)
        assert len(window) <= 125
    assert digest(0) not in window


def test_inlets_do_not_share_keys() -> None:
    assert digest(1, "a") != digest(1, "b")
    assert KeyWindow.digest("a", b"b\nc") != KeyWindow.digest("ab", b"\nc")


def newest_first(count: int) -> Iterator[bytes]:
    return (b"customerio:%d" % number for number in range(count - 1, -1, -1))


def test_the_newest_keys_of_every_inlet_are_read_and_the_rest_later() -> None:
    keys = {"busy": newest_first(20_000), "quiet": newest_first(3)}
    found = read_keys(keys, 10_000, 30.0)
    assert 10_000 <= len(found) <= 14_000
    assert {digest(number, "quiet") for number in range(3)} <= set(found)
    assert {digest(number, "busy") for number in range(10_100, 20_000)} <= set(found)
    assert list(keys) == ["busy"]
    window = KeyWindow(10_000)
    for known in reversed(found[:5000]):
        window.add(known)
    window.add_older(read_keys(keys, 5000, 30.0))
    assert digest(9_000, "busy") in window
    assert keys
    read_keys(keys, 10**6, 30.0)
    assert not keys


def test_older_keys_leave_the_window_first() -> None:
    window = KeyWindow(100)
    window.add(digest(1))
    window.add_older([digest(0)])
    for number in range(2, 126):
        window.add(digest(number))
    assert digest(1) in window
    assert digest(0) not in window


def test_reading_keys_ends_in_time() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    assert read_keys({"a": endless()}, 10**12, 0.05)
