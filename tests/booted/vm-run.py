"""`tb run` in a virtual machine: PORT TIMEOUT COMMAND...; see agent.py.

The standard input is read whole, unless it is a terminal or TB_STDIN is 0.
"""

import os
import socket
import struct
import sys
import threading

port, timeout = int(sys.argv[1]), float(sys.argv[2])
command = [word.encode() for word in sys.argv[3:]]
silent = os.environ.get("TB_STDIN") == "0" or os.isatty(0)
given = b"" if silent else sys.stdin.buffer.read()


def read(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


try:
    connection = socket.create_connection(("127.0.0.1", port), timeout)
    connection.settimeout(timeout)
    words = b"".join(struct.pack(">I", len(word)) + word for word in command)
    connection.sendall(struct.pack(">II", len(command), len(given)) + words)
    threading.Thread(target=lambda: connection.sendall(given), daemon=True).start()
    while True:
        letter, length = struct.unpack(">cI", read(connection, 5))
        data = read(connection, length)
        if letter == b"X":
            sys.stdout.flush()
            os._exit(struct.unpack(">i", data)[0])
        stream = sys.stdout.buffer if letter == b"O" else sys.stderr.buffer
        stream.write(data)
        stream.flush()
except (OSError, EOFError) as error:
    sys.stderr.write(f"tb: link lost: {error!r}\n")
    os._exit(255)
