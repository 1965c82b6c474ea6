"""Runs commands in a virtual machine, for `tb run`: one connection, one command.

A request is the number of words and the length of the standard input (two
u32, big-endian), then each word with its length, then the input. The answer is
frames of a letter, a length and bytes: O and E for standard output and error,
last X with the exit status.
"""

import os
import socket
import struct
import subprocess
import threading

PORT = 7777


def read(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(min(65536, length - len(data)))
        if not part:
            raise EOFError
        data += part
    return data


def serve(connection):
    lock = threading.Lock()

    def frame(letter, data):
        with lock:
            connection.sendall(letter + struct.pack(">I", len(data)) + data)

    try:
        words, length = struct.unpack(">II", read(connection, 8))
        command = []
        for _ in range(words):
            (size,) = struct.unpack(">I", read(connection, 4))
            command.append(read(connection, size))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/root",
                start_new_session=True,
            )
        except OSError as error:
            frame(b"E", f"{error}\n".encode())
            frame(b"X", struct.pack(">i", 127))
            return

        def feed():
            left = length
            try:
                while left:
                    part = connection.recv(min(65536, left))
                    if not part:
                        return
                    left -= len(part)
                    process.stdin.write(part)
                process.stdin.close()
            except OSError:
                pass

        def pump(stream, letter):
            while data := os.read(stream.fileno(), 65536):
                frame(letter, data)

        threading.Thread(target=feed, daemon=True).start()
        pumps = [
            threading.Thread(target=pump, args=pair, daemon=True)
            for pair in ((process.stdout, b"O"), (process.stderr, b"E"))
        ]
        for thread in pumps:
            thread.start()
        status = process.wait()
        for thread in pumps:
            # What was left running in the background may hold the pipe.
            thread.join(2)
        frame(b"X", struct.pack(">i", status if status >= 0 else 128 - status))
    except (OSError, EOFError):
        pass
    finally:
        connection.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", PORT))
listener.listen(64)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
