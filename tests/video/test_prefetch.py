import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from m3dfel.video.prefetch import prefetch


class Counter:
    """Counts, and says how far it has got and whether it was closed."""

    def __init__(self, numbers: int) -> None:
        self.numbers, self.latest, self.closed = numbers, -1, False
        self.thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[int]:
        self.thread = threading.current_thread()
        for number in range(self.numbers):
            self.latest = number
            yield number

    def close(self) -> None:
        self.closed = True


def test_all_items_come_in_order_from_another_thread():
    counter = Counter(100)
    assert list(prefetch(counter)) == list(range(100))
    assert counter.thread is not threading.current_thread()
    assert counter.closed


def test_it_runs_only_a_few_items_ahead():
    counter = Counter(1000)
    items = prefetch(counter, size=3)
    assert next(items) == 0
    wait_until(lambda: counter.latest == 4)
    time.sleep(0.02)
    assert counter.latest == 4, "three wait in the queue, and one for room in it"
    items.close()
    assert counter.closed
    assert counter.thread is not None
    assert not counter.thread.is_alive()


@pytest.mark.parametrize("error", [ValueError, SystemExit])  # the consumer must not wait forever
def test_an_error_comes_after_the_items_before_it(error: type[BaseException]):
    def broken() -> Iterator[int]:
        yield 1
        raise error("broken")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(error, match="broken"):
        next(items)


def test_items_without_room_can_be_dropped():
    counter = Counter(1000)
    items = prefetch(counter, size=3, drop=True)
    first = next(items)
    wait_until(lambda: counter.latest == 999)
    taken = [first, *items]
    assert taken[-3:] == [997, 998, 999], "the newest wait for the consumer"
    assert len(taken) < 100


def test_the_thread_ends_with_the_one_that_took_from_it():
    counter, taken = Counter(1000), []
    items = prefetch(counter, size=3)
    taker = threading.Thread(target=lambda: taken.append(next(items)))
    taker.start()
    taker.join()
    assert taken == [0]
    wait_until(lambda: counter.closed)
    items.close()


def test_a_program_may_end_in_the_middle_of_a_loop():
    program = """
from itertools import count
from m3dfel.video.prefetch import prefetch
items = prefetch(prefetch(count()))
print(next(items))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")


def wait_until(condition) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited for too long")
