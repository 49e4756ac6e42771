"""Small moves of clients, good and bad, on a raw socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable


async def eventually(holds: Callable[[], bool], within: float = 5.0) -> None:
    """Wait until something holds that nobody announces."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.002)


async def drip(writer: asyncio.StreamWriter, data: bytes, every: float) -> None:
    """Send byte by byte, slowly, as long as anybody listens."""
    for octet in data:
        if writer.is_closing():
            return
        writer.write(bytes((octet,)))
        await asyncio.sleep(every)


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave with a reset: the other side learns at once that nobody waits any more."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
