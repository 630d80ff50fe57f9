"""One worker forked ahead of time: the next session finds its process ready and only has to tell it its context."""

from __future__ import annotations

import json
import socket


class Spare:
    """The host's end. A spare that is not needed ends when its socket is closed, or with the zygote."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def order(self, control: socket.socket | None, buffer: int) -> None:
        """Have the zygote behind ``control`` fork one, if there is none; waits for nothing, and does without when the
        zygote is busy or no descriptor is left."""
        if self._socket is not None or control is None:
            return
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:
            return
        with theirs:
            ours.setblocking(False)
            try:
                for end in (ours, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
                socket.send_fds(control, [json.dumps({"t": "spare"}).encode()], [theirs.fileno()])
            except OSError:
                ours.close()
                return
        self._socket = ours

    def take(self) -> socket.socket | None:
        """The socket to the spare, which is the caller's now; it waits for a request as the zygote would."""
        spare, self._socket = self._socket, None
        return spare

    def drop(self) -> None:
        """Let it end."""
        if (spare := self.take()) is not None:
            spare.close()
