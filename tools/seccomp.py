#!/usr/bin/env python3
"""Runs a command under a seccomp profile in the form of the OCI, as a container's runtime does: seccomp.py PROFILE COMMAND…

Of profiles it knows what ours has: one action for all calls but those that are allowed by name."""
import ctypes
import json
import os
import platform
import re
import struct
import subprocess
import sys

AUDIT_ARCH = {'x86_64': 0xC000003E, 'aarch64': 0xC00000B7}[platform.machine()]
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2

with open(sys.argv[1]) as file:
    profile = json.load(file)
if set(profile) != {'defaultAction', 'defaultErrnoRet', 'archMap', 'syscalls'} or profile['defaultAction'] != 'SCMP_ACT_ERRNO':
    sys.exit(f'{sys.argv[1]}: another form of profile than this program knows')
for rule in profile['syscalls']:
    if set(rule) != {'action', 'names'} or rule['action'] != 'SCMP_ACT_ALLOW':
        sys.exit(f'{sys.argv[1]}: another form of rule than this program knows')

# The machine's numbers, as the compiler knows them; a call that this machine does not have is allowed in vain.
macros = subprocess.run(['cc', '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null'], check=True, capture_output=True, text=True).stdout
numbers = {name: int(number) for name, number in re.findall(r'^#define __NR_(\w+) (\d+)$', macros, re.M)}
allowed = [numbers[name] for rule in profile['syscalls'] for name in rule['names'] if name in numbers]

code = [(LOAD_WORD, 0, 0, 4), (JUMP_EQUAL, 1, 0, AUDIT_ARCH), (RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS), (LOAD_WORD, 0, 0, 0)]
for number in allowed:
    code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
code.append((RETURN, 0, 0, SECCOMP_RET_ERRNO | profile['defaultErrnoRet']))
filter = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *insn) for insn in code))


class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(code), ctypes.addressof(filter))
for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)]:
    if libc.prctl(*call) != 0:
        sys.exit(f'prctl: {os.strerror(ctypes.get_errno())}')
os.execvp(sys.argv[2], sys.argv[2:])
