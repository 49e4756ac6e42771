"""The sink: no line is lost while somebody reads, and nobody waits while nobody reads."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator

import pytest

from gateway.observe.sink import Sink


class Reader:
    """A stream whose reader takes nothing until the test opens it; `came` is set whenever something was written."""

    def __init__(self, *, opened: bool = True) -> None:
        self.open, self.came = threading.Event(), threading.Event()
        self.batches: list[bytes] = []
        if opened:
            self.open.set()

    def write(self, data: bytes, /) -> int:
        self.open.wait(10)
        self.batches.append(data)
        self.came.set()
        return len(data)

    def flush(self) -> None:
        pass

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.batches).splitlines()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def sink(reader: Reader) -> Iterator[Sink]:
    made = Sink(reader)
    made.start()
    yield made
    made.close()


def test_lines_come_in_order_and_in_batches(sink: Sink, reader: Reader) -> None:
    for number in range(1000):
        sink.info(b"%d\n" % number)
    sink.close()
    assert reader.lines == [b"%d" % number for number in range(1000)]
    assert len(reader.batches) < 20
    assert sink.dropped == 0


def test_a_line_is_written_soon_without_another_one(sink: Sink, reader: Reader) -> None:
    sink.info(b"one\n")
    assert reader.came.wait(5)
    assert reader.lines == [b"one"]


def test_a_warning_is_written_with_what_gathered_before_it(sink: Sink, reader: Reader) -> None:
    sink.info(b"one\n")
    sink.warning(b"two\n")
    assert reader.came.wait(5)
    while len(reader.lines) < 2:
        assert reader.came.wait(5)
    assert reader.lines == [b"one", b"two"]


def test_lines_of_many_threads_are_all_there_once(sink: Sink, reader: Reader) -> None:
    def write(name: int) -> None:
        for number in range(500):
            (sink.warning if number % 50 == 0 else sink.info)(b"%d-%d\n" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    assert sorted(reader.lines) == sorted(b"%d-%d" % (name, number) for name in range(4) for number in range(500))


def test_a_reader_that_takes_nothing_stops_nobody_and_what_is_lost_is_counted() -> None:
    reader = Reader(opened=False)
    sink = Sink(reader, most_bytes=1000)
    sink.start()
    sink.warning(b"x" * 99 + b"\n")  # the writer hangs on this one, or on the next few with it
    for _ in range(50):
        sink.warning(b"x" * 99 + b"\n")
    reader.open.set()
    sink.close()
    assert 10 <= len(reader.lines) <= 22
    assert sink.dropped == 51 - len(reader.lines)


def test_flush_writes_what_has_gathered_before_it_returns(sink: Sink, reader: Reader) -> None:
    sink.info(b"one\n")
    sink.flush()
    assert reader.lines == [b"one"]


def test_a_sink_that_was_never_started_is_flushed_by_hand(reader: Reader) -> None:
    sink = Sink(reader)
    sink.info(b"one\n")
    sink.close()
    sink.flush()
    assert reader.lines == [b"one"]


def test_closing_twice_is_closing_once(sink: Sink, reader: Reader) -> None:
    sink.info(b"one\n")
    sink.close()
    sink.close()
    assert reader.lines == [b"one"]


def test_a_reader_that_left_costs_its_lines_and_nothing_else() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "wb", buffering=0) as stream:
        sink = Sink(stream)
        sink.start()
        sink.warning(b"one\n")
        sink.info(b"two\n")
        sink.close()
        assert sink.dropped == 2


def test_a_closed_stream_costs_its_lines_and_nothing_else() -> None:
    stream = io.BytesIO()
    stream.close()
    sink = Sink(stream)
    sink.info(b"one\n")
    sink.flush()
    assert sink.dropped == 1
