# ruff: noqa: INP001  not of a package: it runs in a process of its own
"""Puts the emulator some milliseconds away: python distance.py <port> <milliseconds>

Each request waits so long on its way, however many are on theirs. Prints the port it listens on;
ends with its standard input.
"""

import asyncio
import sys
from contextlib import suppress

PORT, AWAY_SECONDS = int(sys.argv[1]), float(sys.argv[2]) / 1000


async def pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, away_seconds: float
) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(1 << 16):
            await asyncio.sleep(away_seconds)
            target.write(chunk)
            await target.drain()
    target.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", PORT)
    await asyncio.gather(pass_on(reader, back, AWAY_SECONDS), pass_on(there, writer, 0))


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
