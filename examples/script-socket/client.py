#!/usr/bin/env python3
"""A TPM that is busy twice, and that then answers one PCR_Read with a wrong digest: client.py SOCKET"""
import json
import socket
import sys


class Script:
    """One connection to the --script-socket of a TPM."""

    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        self.lines = connection.makefile('rw')

    def tell(self, **request):
        print(json.dumps(request), file=self.lines, flush=True)

    def line(self):
        line = json.loads(self.lines.readline())
        if 'error' in line:
            raise RuntimeError(line['error'])
        return line

    def ask(self, **request):
        self.tell(**request)
        return self.line()['ok']


faults, takes = Script(sys.argv[1]), Script(sys.argv[1])
busy = faults.ask(fault='GetRandom#1-2: rc=RETRY')
takes.ask(take='PCR_Read')
print('ready', flush=True)

struck = faults.ask(wait=busy, times=2, timeout=60)['struck']
faults.ask(remove=busy)

taken = takes.line()                                     # this command waits for us
takes.tell(n=taken['n'], command=taken['command'])       # have the TPM execute it
response = takes.line()['response']
takes.tell(n=taken['n'], response=response[:-2] + 'ff')  # the client gets this instead
takes.ask(list=True)                                     # answered after what was told before
print(f'struck {struck} times, answered command {taken["n"]}')
