"""A client that sends many different TPM 2.0 commands over a socket or a device, and says how far it is.

Usage: soak-client.py KIND PATH COUNT REPORTS; KIND is socket, cuse or device. Prints a line for each COUNT/REPORTS commands and
exits with status 1 on an answer that is not expected.
"""

import array
import fcntl
import os
import socket
import struct
import sys

kind, path, count, reports = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
RETRY = 0x922
RECONNECT_EVERY = 1000
# Until JavaScript that is run so often has been compiled for good, which takes memory.
WARM_UP = 5000
PTM_GET_TPMESTABLISHED = 0x80085003


def command(code, body="", sessions=False):
    body = bytes.fromhex(body.replace(" ", ""))
    return struct.pack(">HII", 0x8002 if sessions else 0x8001, 10 + len(body), code) + body


AUTH = "00000009 40000009 0000 00 0000"
NV = "01500001 01500001 " + AUTH
# An ordinary index without protection against dictionary attacks.
DEFINE = command(0x12A, "40000001" + AUTH + "0000 000e 01500001 000b 02040004 0000 0020", True)
CYCLE = [
    command(0x17B, "0008"),  # GetRandom
    command(0x17E, "00000001 000b 03 000100"),  # PCR_Read
    command(0x17B, "0020"),
    command(0x14E, NV + "0020 0000", True),  # NV_Read
    command(0x17A, "00000006 00000100 00000010"),  # GetCapability
    command(0x182, "00000010" + AUTH + "00000001 000b" + "5a" * 32, True),  # PCR_Extend
    command(0x17D, "0020" + "a5" * 32 + "000b 40000007"),  # Hash
    command(0x181),  # ReadClock
]
UNKNOWN = command(0x1FF)
PRIMARY = command(
    0x131,
    "40000001" + AUTH + "0004 0000 0000 001a 0023 000b 00030072 0000 0006 0080 0043 0010 0003 0010 0000 0000 0000 00000000",
    True,
)
SESSION = command(0x176, "40000007 40000007 0010" + "05" * 16 + "0000 01 0010 000b")


class Socket:
    def __init__(self):
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def ask(self, bytes):
        self.socket.sendall(bytes)
        answer = self.socket.recv(4096)
        while len(answer) < 10 or len(answer) < struct.unpack_from(">I", answer, 2)[0]:
            more = self.socket.recv(4096)
            if not more:
                sys.exit(f"the connection ended: {answer.hex()}")
            answer += more
        return answer

    def close(self):
        self.socket.close()

    def verb(self):
        pass

    def involve_supervisor(self):
        """It hears of each client."""
        self.close()
        self.connect()


class Device:
    def __init__(self):
        self.fd = os.open(path, os.O_RDWR)

    def ask(self, bytes):
        os.write(self.fd, bytes)
        return os.read(self.fd, 4096)

    def close(self):
        os.close(self.fd)

    def verb(self):
        if kind == "cuse":
            fcntl.ioctl(self.fd, PTM_GET_TPMESTABLISHED, array.array("B", bytes(8)), True)

    def involve_supervisor(self):
        self.verb()


def expect(answer, code, what):
    if struct.unpack_from(">I", answer, 6)[0] != code:
        sys.exit(f"{what}: {answer.hex()}")


done = 0
client = None


def ask(bytes, code=0):
    global client, done
    if client is None or done % RECONNECT_EVERY == 0:
        if client:
            client.close()
        client = Socket() if kind == "socket" else Device()
    done += 1
    if done % (count // reports) == 0:
        print(done, flush=True)
    while True:
        answer = client.ask(bytes)
        if struct.unpack_from(">I", answer, 6)[0] != RETRY:
            break
    expect(answer, code, bytes.hex())
    return answer


def flush(handle):
    ask(command(0x165, handle.hex()))


ask(DEFINE)
for _ in range(min(WARM_UP, count // 40)):
    client.involve_supervisor()
turn = 0
ask(command(0x137, NV + "0020" + bytes(32).hex() + "0000", True))
while done < count:
    turn += 1
    for one in CYCLE:
        ask(one)
    if turn % 2 == 0:
        session = ask(SESSION)[10:14]
        ask(command(0x189, session.hex()))  # PolicyGetDigest
        flush(session)
    if turn % 4 == 0:
        ask(UNKNOWN, 0x143)
        client.verb()
    if turn % 8 == 0:
        ask(command(0x137, NV + "0020" + struct.pack(">Q", turn).hex() * 4 + "0000", True))  # NV_Write
    if turn % 64 == 0:
        flush(ask(PRIMARY)[10:14])
client.close()
