"""Which system calls a sandboxed program may not make: a seccomp filter, as the kernel and bubblewrap read it.

Limits of address space hold for what a process maps, each process for itself. So that they bound the whole, memory that
nobody has mapped (of System V, of files without a name) is out of reach, and with `may_fork=False` processes are, too.
So are sockets that namespaces do not hold in, and the calls that have most often led out of sandboxes.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html, and linux/bpf_common.h for the instructions.
"""

import errno
import platform
import struct

from gembench.errors import GembenchError

# The numbers of the kernel's architecture, and of calls: of x86_64 and aarch64.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DENIED = {
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
}
_FORKS_OF_X86 = [57, 58]  # fork and vfork
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_CLONE_THREAD = 0x10000
_UNIX, _IPV4, _IPV6 = 1, 2, 10

# What a filter looks at: the call's number, the architecture, and the low half of the first argument.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_FIRST_OF_X32 = 0x40000000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


class SystemCallsError(GembenchError):
    """The system calls of this kind of machine are not known."""


def make_filter(*, may_fork: bool) -> bytes:
    """The filter for this machine.

    Args:
        may_fork: whether the program may start processes, rather than threads alone.

    Raises:
        SystemCallsError: it is neither an x86_64 nor an aarch64.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise SystemCallsError(f"strangers' programs can be run on {' and '.join(_ARCHITECTURES)} only, not {machine}.")
    place = list(_ARCHITECTURES).index(machine)
    refuse = _instruction(_RETURN, _ERROR | errno.EPERM)
    program = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, _ARCHITECTURES[machine], skip_if_so=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_instruction(_IF_AT_LEAST, _FIRST_OF_X32, skip_if_not=1), refuse]
    denied = [numbers[place] for numbers in _DENIED.values()]
    if not may_fork and machine == "x86_64":
        denied += _FORKS_OF_X86
    for number in denied:
        program += [_instruction(_IF_EQUAL, number, skip_if_not=1), refuse]
    if not may_fork:
        # The C library then does with `clone`, whose flags can be seen.
        unknown = _instruction(_RETURN, _ERROR | errno.ENOSYS)
        program += [_instruction(_IF_EQUAL, _CLONE3[place], skip_if_not=1), unknown]
        program += [
            _instruction(_IF_EQUAL, _CLONE[place], skip_if_not=4),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_IF_BIT, _CLONE_THREAD, skip_if_so=1),
            refuse,
            _instruction(_RETURN, _ALLOW),
        ]
    program += [
        _instruction(_IF_EQUAL, _SOCKET[place], skip_if_not=5),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        *(_instruction(_IF_EQUAL, family, skip_if_so=skip) for family, skip in ((_UNIX, 3), (_IPV4, 2), (_IPV6, 1))),
        refuse,
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _instruction(code: int, value: int, *, skip_if_so: int = 0, skip_if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_so, skip_if_not, value)
