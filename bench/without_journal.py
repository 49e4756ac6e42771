"""The gateway with a journal that writes nothing: what the real one costs is measured against it. For the bench only."""

import sys
import time
from pathlib import Path

import uvloop

from gateway.journal.values import Meeting, Met
from gateway.serve import process
from gateway.serve.compose import compose
from gateway.settings.load import load

_NOTHING = Meeting(met=Met.NOTHING)


class _NoStore:
    async def commit(self, operations):
        from gateway.journal.operations import Purge, Purged

        return [Purged() if isinstance(one, Purge) else "" for one in operations]


class Unwritten:
    """In the place of `gateway.journal.engine.Journal`."""

    healthy, unknown = True, {}

    def __init__(self, *_):
        self.store = _NoStore()

    async def start(self):
        pass

    async def close(self):
        pass

    def now_ms(self):
        return int(time.time() * 1000)

    async def begin(self, entry):
        return _NOTHING

    look = begin

    async def finish(self, settlement):
        return True

    def note(self, refusal):
        pass


async def main(top):
    process.Journal = Unwritten
    server = process.Server(compose(load(Path(top)), create=True))
    await server.start()
    print(server.ready_line, flush=True)
    try:
        return await server.until_stopped()
    finally:
        await server.close()


if __name__ == "__main__":
    sys.exit(uvloop.run(main(sys.argv[1])))
