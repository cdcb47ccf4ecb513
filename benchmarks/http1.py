"""Speak HTTP/1.1 over non-blocking sockets and epoll, with little CPU of its own: the load must not be the limit.

::

    Connection.receive()  the messages that are complete, head and body; a partial one is kept for the next call
    Connection.send()     write at once; what the socket does not take is written when it is ready

A body needs a ``content-length``, which uvicorn and libcurl send; any other message is a :class:`MalformedMessage`.
"""

import select
import socket
import ssl
from typing import Final

READ_BYTES: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length: "
_LENGTH_TITLE_CASE: Final = b"\r\nContent-Length: "
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Message = tuple[bytes, bytes]
"""A head, without the empty line after it, and a body."""


class MalformedMessage(ConnectionError):
    """Signal data that is not HTTP/1.1 with a content-length."""


def find_message_end(data: bytes) -> tuple[int, int] | None:
    """Return the offsets where the first message's head and body end; None while it is incomplete."""
    head = data.find(_HEAD_END)
    if head < 0:
        return None
    at = data.find(_LENGTH, 0, head)
    if at < 0:
        at = data.find(_LENGTH_TITLE_CASE, 0, head)
    if at < 0:
        at = data[:head].lower().find(_LENGTH)
    if at < 0:
        raise MalformedMessage("no content-length")
    at += len(_LENGTH)
    length = data.find(b"\r", at)
    end = head + len(_HEAD_END) + int(data[at:length])
    return (head, end) if end <= len(data) else None


def header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header, empty where there is none; fast if the case matches."""
    prefix = b"\r\n%b: " % name
    at = head.find(prefix)
    if at < 0:
        at = head.lower().find(prefix.lower())
    if at < 0:
        return b""
    at += len(prefix)
    end = head.find(b"\r", at)
    return head[at:] if end < 0 else head[at:end]


class Connection:
    """Exchange messages over one socket that is registered with epoll as ``number``."""

    __slots__ = ("_partial", "_poll", "_socket", "_unsent", "number")

    def __init__(self, connection: socket.socket, poll: select.epoll) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._poll = poll
        self._partial = b""
        self._unsent = b""
        self.number = connection.fileno()
        poll.register(self.number, select.EPOLLIN)

    def receive(self) -> list[Message]:
        """Return the messages that are complete. Raise ConnectionError once the peer has closed or sent nonsense."""
        if self._unsent:
            self._flush()
        try:
            data = self._socket.recv(READ_BYTES)
        except _WOULD_BLOCK:
            return []
        except ssl.SSLError as error:
            raise MalformedMessage(str(error)) from error
        if not data:
            raise ConnectionResetError("closed by the peer")
        if isinstance(self._socket, ssl.SSLSocket):
            while self._socket.pending():
                data += self._socket.recv(READ_BYTES)
        if self._partial:
            data = self._partial + data
        return self._messages(data)

    def _messages(self, data: bytes) -> list[Message]:
        messages = []
        while (found := find_message_end(data)) is not None:
            head, end = found
            messages.append((data[:head], data[head + len(_HEAD_END) : end]))
            if end == len(data):
                self._partial = b""
                return messages
            data = data[end:]
        self._partial = data
        return messages

    def send(self, data: bytes) -> None:
        """Send or queue the data. Raise ConnectionError once the peer has closed."""
        if self._unsent:
            self._unsent += data
            return
        sent = self._write(data)
        if sent < len(data):
            self._unsent = data[sent:]
            self._poll.modify(self.number, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self) -> None:
        self._unsent = self._unsent[self._write(self._unsent) :]
        if not self._unsent:
            self._poll.modify(self.number, select.EPOLLIN)

    def _write(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except _WOULD_BLOCK:
            return 0

    def close(self) -> None:
        """Close the socket; epoll forgets it."""
        self._socket.close()
