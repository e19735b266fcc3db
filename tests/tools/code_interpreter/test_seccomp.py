"""The filter, run by an interpreter of its own: both architectures, wherever the tests run."""

import errno
import struct

import pytest

from locum.tools.code_interpreter import seccomp

X86_64, ARM64, I386 = 0xC000003E, 0xC00000B7, 0x40000003
ALLOW, KILL = "allow", "kill"
SIGCONT = 18
MACHINES = [("x86_64", X86_64), ("aarch64", ARM64)]


def outcome(program: bytes, architecture: int, number: int, *arguments: int) -> str:
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, then, otherwise, value = instructions[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            if value >> 16 == 5:
                return errno.errorcode[value & 0xFFFF]
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}[value]
        else:
            jumps = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x45: accumulator & value,
            }
            at += then if jumps[code] else otherwise


# Numbers from the kernel's own tables, not from ours.
@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"),
    [
        ("x86_64", X86_64, {"mount": 165, "ptrace": 101, "bpf": 321, "keyctl": 250, "socket": 41}),
        ("aarch64", ARM64, {"mount": 40, "ptrace": 117, "bpf": 280, "keyctl": 219, "socket": 198}),
    ],
)
def test_dangerous_calls_are_refused(
    machine: str, architecture: int, numbers: dict[str, int]
) -> None:
    program = seccomp.program(machine)

    assert {
        name: outcome(program, architecture, n) for name, n in numbers.items()
    } == dict.fromkeys(numbers, "EPERM")


@pytest.mark.parametrize(("machine", "architecture"), MACHINES)
def test_every_call_of_the_table_is_refused_and_no_other(machine: str, architecture: int) -> None:
    program = seccomp.program(machine)
    column = machine == "aarch64"
    refused = {row[column] for row in seccomp.REFUSED.values()} - {None}

    found = {n for n in range(600) if outcome(program, architecture, n, 1) == "EPERM"}
    unknown = {n for n in range(600) if outcome(program, architecture, n, 1) == "ENOSYS"}

    assert found == refused
    assert unknown == {425, 426, 427, 435} | set(range(463, 600))


@pytest.mark.parametrize(("machine", "architecture"), MACHINES)
def test_other_architectures_are_killed(machine: str, architecture: int) -> None:
    program = seccomp.program(machine)

    for other in {X86_64, ARM64, I386} - {architecture}:
        assert outcome(program, other, 0) == KILL


def test_x32_calls_are_unknown() -> None:
    assert outcome(seccomp.program("x86_64"), X86_64, 0x40000000 | 101) == "ENOSYS"


@pytest.mark.parametrize(("machine", "clone"), [("x86_64", 56), ("aarch64", 220)])
def test_threads_and_children_are_made_but_no_namespaces(machine: str, clone: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]
    thread, child = 0x3D0F00, 0x1200011

    assert outcome(program, architecture, clone, thread) == ALLOW
    assert outcome(program, architecture, clone, child) == ALLOW
    assert outcome(program, architecture, clone, 0x1200000 | SIGCONT) == "EPERM"
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert outcome(program, architecture, clone, child | flag) == "EPERM"


@pytest.mark.parametrize(("machine", "ioctl"), [("x86_64", 16), ("aarch64", 29)])
def test_terminals_are_not_typed_into(machine: str, ioctl: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]

    # What lies above 32 bits, the kernel ignores; so must the filter.
    for request in (0x5412, 0x541C, 0x5412 | 1 << 40):
        assert outcome(program, architecture, ioctl, 0, request) == "EPERM"
    assert outcome(program, architecture, ioctl, 0, 0x5401) == ALLOW


@pytest.mark.parametrize(("machine", "pair"), [("x86_64", 53), ("aarch64", 199)])
def test_pairs_of_unix_sockets_are_all_the_sockets_there_are(machine: str, pair: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]

    assert outcome(program, architecture, pair, 1) == ALLOW
    assert outcome(program, architecture, pair, 2) == "EPERM"


@pytest.mark.parametrize(("machine", "mmap"), [("x86_64", 9), ("aarch64", 222)])
def test_memory_is_mapped_but_none_that_is_shared_and_of_no_file(machine: str, mmap: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]
    shared, shared_and_checked, private, anonymous, huge = 1, 3, 2, 0x20, 0x40000

    for flags in (shared, shared_and_checked, private, private | anonymous):
        assert outcome(program, architecture, mmap, 0, 0, 0, flags) == ALLOW
    for flags in (shared | anonymous, shared_and_checked | anonymous, private | anonymous | huge):
        assert outcome(program, architecture, mmap, 0, 0, 0, flags) == "EPERM"


@pytest.mark.parametrize(("machine", "fcntl"), [("x86_64", 72), ("aarch64", 25)])
def test_files_do_not_signal_what_their_code_chooses(machine: str, fcntl: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]

    assert outcome(program, architecture, fcntl, 0, 10, SIGCONT) == "EPERM"
    assert outcome(program, architecture, fcntl, 0, 1030) == ALLOW


@pytest.mark.parametrize(("machine", "fallocate"), [("x86_64", 285), ("aarch64", 47)])
def test_disk_space_is_not_reserved_at_once(machine: str, fallocate: int) -> None:
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]

    assert outcome(program, architecture, fallocate) == "ENOTSUP"


@pytest.mark.parametrize(("machine", "ioctl"), [("x86_64", 16), ("aarch64", 29)])
def test_disk_space_is_not_reserved_at_once_by_another_name(machine: str, ioctl: int) -> None:
    """As XFS called it first; the kernel does the same for every file system."""
    program, architecture = seccomp.program(machine), dict(MACHINES)[machine]

    for request in (0x40305828, 0x4030582A, 0x40305839):
        assert outcome(program, architecture, ioctl, 0, request) == "EPERM"
    assert outcome(program, architecture, ioctl, 0, 0x4030582B) == ALLOW


def test_other_machines_are_not_supported() -> None:
    assert not seccomp.supported("riscv64")
    assert seccomp.supported("x86_64")
