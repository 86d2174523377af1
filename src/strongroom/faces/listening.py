"""The socket that the server listens on."""

import errno
import socket

from strongroom.errors import PortInUseError, UnavailableError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port` (0: any free one).

    Raises:
        PortInUseError: something listens there already.
        UnavailableError: the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(f"port {port} on `{host}` is in use") from None
        raise UnavailableError(f"cannot listen on `{host}`: {error.strerror}") from None
    return listener
