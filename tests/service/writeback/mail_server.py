"""A real SMTP server on this machine that remembers what it was given."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """A server that answers a command with a status as told, else takes what comes."""

    answers: dict[str, str] = field(default_factory=dict)  # by the command's beginning
    tls: ssl.SSLContext | None = None
    got: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to: list[str] = []
        encrypted = False

        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        await say("220 mail.example")
        while line := (await reader.readline()).decode().rstrip():
            told = next(
                (text for key, text in self.answers.items() if line.upper().startswith(key)), None
            )
            command = line.split()[0].upper()
            if told is not None:
                await say(told)
            elif command == "EHLO":
                offers = ["AUTH PLAIN"] + (["STARTTLS"] if self.tls and not encrypted else [])
                lines = ["mail.example", *offers]
                for index, offer in enumerate(lines):
                    await say(f"250{' ' if index == len(lines) - 1 else '-'}{offer}")
            elif command == "STARTTLS":
                await say("220 go on")
                await writer.start_tls(self.tls)  # type: ignore[arg-type] # it was offered
                encrypted = True
            elif command == "AUTH":
                self.logins.append(base64.b64decode(line.split()[-1]).decode())
                await say("235 welcome")
            elif command == "DATA":
                await say("354 go on")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.got.append(message_from_bytes(content[:-3], policy=policy.default))  # type: ignore[arg-type]
                self.recipients.append(to)
                self.was_encrypted.append(encrypted)
                await say("250 taken")
            elif command == "QUIT":
                await say("221 bye")
                break
            else:
                if command == "RCPT":
                    to.append(line.partition("<")[2].rstrip(">"))
                await say("250 well")
        writer.close()


@contextmanager
def mail_serving(server: MailServer) -> Iterator[MailServer]:
    """The server on a free port, until the block ends."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.talk, "127.0.0.1", 0))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
