"""The window of known keys: exact, bounded, rebuilt by number."""

from collections.abc import Iterator

from webhook_inlet.window import KeyWindow, rebuild


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


def test_a_rebuilt_window_knows_the_newest_keys_of_every_inlet() -> None:
    def newest_first(count: int) -> Iterator[bytes]:
        return (b"customerio:%d" % number for number in range(count - 1, -1, -1))

    window = KeyWindow(10_000)
    read = rebuild(window, {"busy": newest_first(100_000), "quiet": newest_first(3)}, 10_000, 30.0)
    assert 10_000 <= read <= 14_000
    assert all(digest(number, "quiet") in window for number in range(3))
    assert all(digest(number, "busy") in window for number in range(99_999, 90_100, -1))


def test_rebuilding_ends_in_time() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    assert rebuild(KeyWindow(10), {"a": endless()}, 10**12, 0.05) > 0
