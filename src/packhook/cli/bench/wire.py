"""HTTP/1.1 over sockets that never block, on epoll: as little as a load needs, so that the machine is left to packhook.

::

    Line.take()  the messages that have come whole, head and body; what was cut off waits for its rest
    Line.send()  out at once; what the socket does not take goes when it can

Bodies have a ``content-length``, which is what uvicorn and libcurl send; anything else is a :class:`Garbled`.
"""

import select
import socket
import ssl
from typing import Final

READ_BYTES: Final = 64 * 1024
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length: "
_LENGTH_OF_LIBCURL: Final = b"\r\nContent-Length: "
_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Message = tuple[bytes, bytes]
"""A head, without its empty line, and a body."""


class Garbled(ConnectionError):
    """What came is not HTTP/1.1 with a content-length."""


def cut(data: bytes) -> tuple[int, int] | None:
    """Where the first message's head and body end; None where it is not whole."""
    head = data.find(_END)
    if head < 0:
        return None
    at = data.find(_LENGTH, 0, head)
    if at < 0:
        at = data.find(_LENGTH_OF_LIBCURL, 0, head)
    if at < 0:
        at = data[:head].lower().find(_LENGTH)
    if at < 0:
        raise Garbled("no content-length")
    at += len(_LENGTH)
    length = data.find(b"\r", at)
    end = head + len(_END) + int(data[at:length])
    return (head, end) if end <= len(data) else None


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header, empty where there is none; quick where the name is spelled as it was asked for."""
    mark = b"\r\n%b: " % name
    at = head.find(mark)
    if at < 0:
        at = head.lower().find(mark.lower())
    if at < 0:
        return b""
    at += len(mark)
    end = head.find(b"\r", at)
    return head[at:] if end < 0 else head[at:end]


class Line:
    """One connection. Its ``number`` is what epoll calls it."""

    __slots__ = ("_poll", "_rest", "_socket", "_unsent", "number")

    def __init__(self, connection: socket.socket, poll: select.epoll) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._poll = poll
        self._rest = b""
        self._unsent = b""
        self.number = connection.fileno()
        poll.register(self.number, select.EPOLLIN)

    def take(self) -> list[Message]:
        """What has come whole. ConnectionError once the other side is gone, or makes no sense."""
        if self._unsent:
            self._flush()
        try:
            data = self._socket.recv(READ_BYTES)
        except _NOT_YET:
            return []
        except ssl.SSLError as error:
            raise Garbled(str(error)) from error
        if not data:
            raise ConnectionResetError("closed by the other side")
        if isinstance(self._socket, ssl.SSLSocket):
            while self._socket.pending():
                data += self._socket.recv(READ_BYTES)
        if self._rest:
            data = self._rest + data
        return self._messages(data)

    def _messages(self, data: bytes) -> list[Message]:
        messages = []
        while (found := cut(data)) is not None:
            head, end = found
            messages.append((data[:head], data[head + len(_END) : end]))
            if end == len(data):
                self._rest = b""
                return messages
            data = data[end:]
        self._rest = data
        return messages

    def send(self, data: bytes) -> None:
        """Out with it. ConnectionError where the other side is gone."""
        if self._unsent:
            self._unsent += data
            return
        sent = self._capacity(data)
        if sent < len(data):
            self._unsent = data[sent:]
            self._poll.modify(self.number, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self) -> None:
        self._unsent = self._unsent[self._capacity(self._unsent) :]
        if not self._unsent:
            self._poll.modify(self.number, select.EPOLLIN)

    def _capacity(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except _NOT_YET:
            return 0

    def close(self) -> None:
        """Over; epoll forgets a socket that is closed."""
        self._socket.close()
