"""The system calls that a sandboxed program is refused, as a seccomp filter in classic BPF.

No new processes: RLIMIT_NPROC does not hold for root, also where root is mapped to nobody. No
memory that RLIMIT_AS does not count, no sockets, and none of the calls that reach into the kernel
or into other processes. Threads stay possible.
"""

import errno
import platform
import struct
from functools import cache

from r1trl_code.sandbox import SandboxError

# The filter's instructions: load a word of the call, compare with it, return.
LOAD, EQUAL, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, MACHINE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
CLONE_THREAD = 0x00010000
X32_CALLS = 0x40000000
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# Each call's number on x86_64 and aarch64, from the kernel's unistd_64.h and asm-generic/unistd.h.
CLONE, CLONE3 = (56, 220), (435, 435)
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fork": (57, None),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vfork": (58, None),
}


@cache
def filter_program() -> bytes:
    """Assemble the filter for this machine; raise SandboxError on an unsupported one."""
    if platform.machine() not in MACHINES:
        raise SandboxError(f"there is no filter of system calls for {platform.machine()}")
    machine, column = MACHINES[platform.machine()]
    lines = [_line(LOAD, MACHINE_AT), _line(EQUAL, machine, 1), _line(RETURN, KILL)]
    lines += [_line(LOAD, NUMBER_AT)]
    lines += [_line(AT_LEAST, X32_CALLS, 0, 1), _line(RETURN, KILL)]
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            lines += _refuse(number, errno.EPERM)
    # clone3 hides its flags in memory; a C library that has no clone3 uses clone.
    lines += _refuse(CLONE3[column], errno.ENOSYS)
    lines += [_line(EQUAL, CLONE[column], 0, 3), _line(LOAD, FIRST_ARGUMENT_AT)]
    lines += [_line(HAS_BITS, CLONE_THREAD, 1), _line(RETURN, REFUSE | errno.EPERM)]
    return b"".join([*lines, _line(RETURN, ALLOW)])


def _line(code: int, operand: int, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, operand)


def _refuse(number: int, error: int) -> list[bytes]:
    return [_line(EQUAL, number, 0, 1), _line(RETURN, REFUSE | error)]
