"""How a listening socket is closed without a reset for those who are just being let in.

A client is connected once the kernel has answered its first packet, but gets to the server's queue
only with its second. Closing the socket in between resets the connection, with a request in it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

# From linux/filter.h and asm-generic/socket.h: Python names none of them.
_SO_ATTACH_FILTER = 26
_LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
# In a TCP header (RFC 9293, 3.1).
_FLAGS_OFFSET, _SYN, _ACK = 13, 0x02, 0x10
_WHOLE_PACKET = 0xFFFFFFFF
# (code, jump if true, jump if false, operand): no first packet gets through, all others do.
_PROGRAM = (
    (_LOAD_BYTE, 0, 0, _FLAGS_OFFSET),
    (_AND, 0, 0, _SYN | _ACK),
    (_JUMP_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _WHOLE_PACKET),
)


def let_in_no_more(sockets: Iterable[socket.socket]) -> None:
    """Begin no connection from now on; those that have begun still get to be accepted.

    A client that is not answered tries again after a second, and is refused once the socket is
    closed, or let in by whoever listens then. Elsewhere than on Linux this does nothing.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *each) for each in _PROGRAM))
    program = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(code))
    for each in sockets:
        with suppress(OSError):  # without it there is only that short moment left
            each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
