#!/usr/bin/env python3
"""A TPM that is busy twice, and that then answers one PCR_Read with a wrong digest: client.py SOCKET"""
import json, socket, sys


class Script:  # one connection to the --script-socket of a TPM
    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        self.lines = connection.makefile('rw')

    def ask(self, **request):
        print(json.dumps(request), file=self.lines, flush=True)
        return self.line()

    def line(self):
        line = json.loads(self.lines.readline())
        return sys.exit(line['error']) if 'error' in line else line


faults, takes = Script(sys.argv[1]), Script(sys.argv[1])
busy = faults.ask(fault='GetRandom#1-2: rc=RETRY')['ok']
takes.ask(take='PCR_Read')
print('ready', flush=True)
struck = faults.ask(wait=busy, times=2, timeout=60)['ok']['struck']
faults.ask(remove=busy)
taken = takes.line()  # this command waits for us: have the TPM execute it, and give its client another response
response = takes.ask(n=taken['n'], command=taken['command'])['response']
print(json.dumps({'n': taken['n'], 'response': response[:-2] + 'ff'}), file=takes.lines, flush=True)
takes.ask(list=True)  # answered after what was told before
print(f'struck {struck} times, answered command {taken["n"]}')
