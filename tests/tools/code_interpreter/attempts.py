"""What hostile code tries in a session, and what it must meet instead.

An attempt prints ESCAPED where it gets what it wants. Where it does not, what it meets must match
`refusal`, so that an attempt that never took place is not taken for one that failed.
"""

from msgspec import Struct

from locum.tools.code_interpreter import seccomp

# Every attempt begins with it: plain system calls, and one line for what came of something.
PRELUDE = f"""
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == 'aarch64'
NUMBERS = {{name: row[ARM] for name, row in {seccomp.REFUSED!r}.items()}}
def call(name, *arguments):
    number = NUMBERS[name] if isinstance(name, str) else name
    result = libc.syscall(number, *arguments)
    outcome = 'ESCAPED' if result >= 0 else errno.errorcode[ctypes.get_errno()]
    print(name, outcome)
    return result
def attempt(wanted, *arguments, **named):
    try:
        result = wanted(*arguments, **named)
    except BaseException as error:
        print(type(error).__name__, error)
    else:
        print('ESCAPED', result)
"""


class Attempt(Struct, frozen=True):
    name: str
    code: str
    refusal: str


_NO_SOCKET = r"PermissionError \[Errno 1\]"

ATTEMPTS = [
    # Network
    Attempt("IPv4 over TCP", "attempt(socket.create_connection, ADDRESS, 2)", _NO_SOCKET),
    Attempt("IPv6 over TCP", "attempt(socket.socket, socket.AF_INET6)", _NO_SOCKET),
    Attempt("UDP", "attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)", _NO_SOCKET),
    Attempt("raw packets", "attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)", _NO_SOCKET),
    Attempt("netlink", "attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)", _NO_SOCKET),
    Attempt("vsock, the way out of a virtual machine", "attempt(socket.socket, 40)", _NO_SOCKET),
    Attempt("kernel crypto sockets", "attempt(socket.socket, 38, 5)", _NO_SOCKET),
    Attempt("a unix socket of the host", "attempt(socket.socket, socket.AF_UNIX)", _NO_SOCKET),
    Attempt("socket pairs of other families", "attempt(socket.socketpair, 16)", _NO_SOCKET),
    Attempt("the name service", "attempt(socket.getaddrinfo, 'localhost.example', 80)", "gaierror"),
    Attempt(
        "network devices",
        "print([line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line])",
        r"^\['lo'\]$",
    ),
    # Files of the host
    Attempt("passwords", "attempt(open, '/etc/shadow')", "FileNotFoundError"),
    Attempt("the configuration of the host", "attempt(os.listdir, '/etc')", "FileNotFoundError"),
    Attempt("the data directory of the server", "attempt(os.listdir, DATA)", "FileNotFoundError"),
    Attempt("a file the server can read", "attempt(open, CANARY)", "FileNotFoundError"),
    Attempt("the packages of the server", "attempt(os.listdir, VENV)", "FileNotFoundError"),
    Attempt(
        "the environment of the server",
        "print('ESCAPED' if any('CANARY' in name for name in os.environ) else sorted(os.environ))\n"
        "try: found = open('/proc/1/environ').read()\n"
        "except PermissionError: found = ''\n"
        "print('ESCAPED' if 'CANARY' in found else 'nothing')",
        "'HOME'(.|\n)*nothing",
    ),
    Attempt(
        "files by handle",
        "call('open_by_handle_at', -100, 0, 0)\ncall('name_to_handle_at', -100, b'/', 0, 0, 0)",
        "at EPERM\nname_to_handle_at EPERM",
    ),
    Attempt(
        "another session",
        "print(os.listdir('/mnt'), os.listdir('/mnt/data'))\n"
        "attempt(os.listdir, '/mnt/data/../../sessions')",
        r"\['data'\] \[\]\nFileNotFoundError",
    ),
    # Processes
    Attempt(
        "other processes",
        "print(sorted(int(pid) for pid in os.listdir('/proc') if pid.isdigit()), os.getpid())",
        r"^\[1, 2\] 2$",
    ),
    # Where the server is no root, the first process has the user of the code. Then it must not have
    # more rights than the code.
    Attempt(
        "the first process",
        "names = ('CapPrm', 'CapEff', 'Seccomp:')\n"
        "for what in ('mem', 'root', 'fd'):\n"
        "  try: open(f'/proc/1/{what}', 'rb')\n"
        "  except PermissionError: print('shut')\n"
        "  except IsADirectoryError: pass\n"
        "  else: print([l.split()[1] for l in open('/proc/1/status') if l.startswith(names)])",
        r"^((shut|\['0000000000000000', '0000000000000000', '2'\])\n)+$",
    ),
    Attempt(
        "the root of the first process",
        "try: print('ESCAPED' if os.path.exists('/proc/1/root/etc') else 'ours')\n"
        "except PermissionError: print('shut')",
        "ours|shut",
    ),
    Attempt(
        "killing the first process",
        "try: os.kill(1, 9)\nexcept PermissionError: pass\nprint('alive', os.getppid())",
        "alive 1",
    ),
    Attempt(
        "writing to read-only memory of its own, to reach a system call",
        "try:\n"
        "  with open('/proc/self/mem', 'r+b', buffering=0) as memory:\n"
        "    memory.seek(id(None)); memory.write(memory.read(1) and b'')\n"
        "except OSError: pass\n"
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)",
        "mount EPERM",
    ),
    Attempt(
        "ptrace", "call('ptrace', 16, 1, 0, 0)\ncall('ptrace', 0, 0, 0, 0)", "EPERM\nptrace EPERM"
    ),
    Attempt(
        "the memory of others",
        "call('process_vm_readv', 1, 0, 0, 0, 0, 0)\ncall('process_vm_writev', 1, 0, 0, 0, 0, 0)",
        "readv EPERM\nprocess_vm_writev EPERM",
    ),
    Attempt("descriptors of others", "call('pidfd_getfd', os.pidfd_open(1), 0, 0)", "EPERM"),
    # Writing outside
    Attempt("writing to /usr", "attempt(open, '/usr/bin/planted', 'w')", "Read-only file system"),
    Attempt(
        "writing to the interpreter",
        "attempt(open, os.path.dirname(os.__file__) + '/planted.py', 'w')",
        "Read-only file system",
    ),
    Attempt(
        "writing to the runner",
        "attempt(open, '/opt/locum/runner.py', 'a')",
        "Read-only|PermissionError",
    ),
    Attempt("writing to the root", "attempt(open, '/planted', 'w')", "Read-only|PermissionError"),
    Attempt("writing to /dev", "attempt(open, '/dev/planted', 'w')", "Read-only|PermissionError"),
    Attempt("writing to /etc", "attempt(os.mkdir, '/etc')", "Read-only|PermissionError"),
    Attempt(
        "settings of the kernel",
        "attempt(open, '/proc/sys/kernel/core_pattern', 'w')\n"
        "attempt(open, '/proc/sys/vm/overcommit_memory', 'w')",
        r"(.*(Read-only|Permission denied).*\n){2}",
    ),
    # A child, as what runs a program of its own has its files in /proc back.
    Attempt(
        "being the last that the kernel ends for want of memory",
        "import subprocess\n"
        "script = 'echo 0 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj'\n"
        "shell = subprocess.run(['sh', '-c', script], capture_output=True, text=True)\n"
        "print(shell.stdout, shell.stderr)",
        "^1000\n.*Read-only file system",
    ),
    # Rights
    Attempt(
        "becoming root",
        "attempt(os.setuid, 0)\nattempt(os.setresuid, 0, 0, 0)\nattempt(os.setgroups, [0])",
        "((PermissionError|OSError).*\n){3}",
    ),
    Attempt(
        "programs that run as root",
        "import subprocess\n"
        "_ = open('/tmp/id', 'wb').write(open('/usr/bin/id', 'rb').read())\n"
        "os.chmod('/tmp/id', 0o6755)\n"
        "int(subprocess.run(['/tmp/id', '-u'], capture_output=True).stdout) == os.getuid() > 0",
        "^True$",
    ),
    Attempt(
        "capabilities",
        "names = ('CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs', 'Seccomp:')\n"
        "[line.split()[1] for line in open('/proc/self/status') if line.startswith(names)]",
        "'0000000000000000', '0000000000000000', '0000000000000000', '1', '2'",
    ),
    Attempt(
        "mounts",
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)\ncall('umount2', b'/mnt/data', 2)\n"
        "call('move_mount', -100, b'/', -100, b'/tmp', 0)\ncall('fsopen', b'tmpfs', 0)\n"
        "call('open_tree', -100, b'/', 1)\ncall('pivot_root', b'/tmp', b'/tmp')",
        "(.* EPERM\n){6}",
    ),
    Attempt("chroot", "attempt(os.chroot, '/tmp')", "PermissionError"),
    Attempt(
        "keyrings",
        "call('keyctl', 0, -3, 1)\ncall('add_key', b'user', b'planted', b'x', 1, -3)\n"
        "call('request_key', b'user', b'planted', 0, -3)\nattempt(open, '/proc/keys')",
        "(.* EPERM\n){3}PermissionError",
    ),
    Attempt(
        "new namespaces",
        "for bit in (17, 25, 28, 29, 30): call('unshare', 1 << bit)\n"
        "call('setns', os.open('/proc/self/status', 0), 0)",
        "(unshare EPERM\n){5}setns EPERM",
    ),
    Attempt(
        "a user namespace by clone",
        "clone = 56 if os.uname().machine == 'x86_64' else 220\n"
        "result = call(clone, 0x10000000 | 17, 0, 0, 0, 0)\n"
        "if result == 0: os._exit(0)",
        "EPERM",
    ),
    Attempt("clone3", "call(435, b'\\0' * 88, 88)", "ENOSYS"),
    Attempt("io_uring", "call(425, 1, b'\\0' * 120)", "ENOSYS"),
    Attempt(
        "asynchronous reads, whose places the whole machine shares",
        "call('io_setup', 1000, bytes(8))",
        "EPERM",
    ),
    Attempt("bpf", "call('bpf', 0, b'\\0' * 64, 64)", "EPERM"),
    Attempt("userfaultfd", "call('userfaultfd', 1)", "EPERM"),
    Attempt("performance counters", "call('perf_event_open', b'\\0' * 128, 0, -1, -1, 0)", "EPERM"),
    Attempt(
        "the kernel's log",
        "call('syslog', 3, bytes(9), 9)\nattempt(open, '/dev/kmsg')",
        "EPERM\nFileNotFoundError",
    ),
    Attempt(
        "kernel modules",
        "call('init_module', b'', 0, b'')\ncall('finit_module', 0, b'', 0)",
        "(.* EPERM\n){2}",
    ),
    Attempt(
        "another kernel",
        "call('kexec_load', 0, 0, 0, 0)\ncall('reboot', 0xfee1dead, 672274793, 0, 0)",
        "(.* EPERM\n){2}",
    ),
    Attempt(
        "swap and accounting",
        "call('swapon', b'/tmp/x', 0)\ncall('acct', b'/tmp/x')",
        "(.* EPERM\n){2}",
    ),
    Attempt(
        "the clock",
        "import time\nattempt(time.clock_settime, time.CLOCK_REALTIME, 0)",
        "PermissionError",
    ),
    Attempt("the name of the host", "attempt(socket.sethostname, 'mine')", "PermissionError"),
    Attempt("an old personality", "call('personality', 0x0400000)", "EPERM"),
    Attempt("calls younger than the list", "call(463, 0)\ncall(500, 0)", "463 ENOSYS\n500 ENOSYS"),
    Attempt(
        "higher limits",
        "import resource\nfor name in ('NPROC', 'DATA', 'FSIZE', 'NOFILE', 'CPU'):\n"
        "  limit = getattr(resource, f'RLIMIT_{name}')\n"
        "  attempt(resource.setrlimit, limit, (1 << 40, 1 << 40))",
        "((ValueError|PermissionError).*\n){5}",
    ),
    # Waking between calls, where the server has stopped the code
    Attempt(
        "a timer that wakes",
        "call('timer_create', 1, (ctypes.c_int * 16)(0, 0, 18, 0), bytes(8))",
        "EPERM",
    ),
    Attempt(
        "a pipe that wakes",
        "import fcntl\nattempt(fcntl.fcntl, os.pipe()[0], 10, 18)",
        r"PermissionError \[Errno 1\]",
    ),
    Attempt(
        "a child whose end wakes",
        "clone = 56 if os.uname().machine == 'x86_64' else 220\n"
        "result = call(clone, 18, 0, 0, 0, 0)\n"
        "if result == 0: os._exit(0)",
        "EPERM",
    ),
    # Devices and terminals
    Attempt(
        "devices",
        "print(sorted(os.listdir('/dev')))",
        r"^\['fd', 'full', 'null', 'random', 'shm', 'urandom', 'zero'\]$",
    ),
    Attempt(
        "a disk of the host",
        "import stat\nattempt(os.mknod, '/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))",
        "PermissionError",
    ),
    Attempt("the terminal", "attempt(open, '/dev/tty')", "FileNotFoundError"),
    Attempt(
        "typing into the terminal",
        "import fcntl\nfor what in (0x5412, 0x541c): attempt(fcntl.ioctl, 0, what, b'x')",
        r"PermissionError \[Errno 1\].*\nPermissionError \[Errno 1\]",
    ),
    # Memory that nobody counts
    Attempt("files that are only memory", "attempt(os.memfd_create, 'hidden')", "PermissionError"),
    Attempt(
        "memory that is shared and of no file",
        "import mmap\nattempt(mmap.mmap, -1, 1 << 20)\n"
        "with open('/dev/zero', 'r+b', buffering=0) as zeros:\n"
        "  attempt(mmap.mmap, zeros.fileno(), 1 << 20)\n"
        "  print(zeros.read(3))",
        r"PermissionError.*\nOSError \[Errno 19\].*\nb'\\x00\\x00\\x00'",
    ),
    Attempt(
        "memory that only pipes hold",
        "call('vmsplice', os.pipe()[1], (ctypes.c_ulong * 2)(id(None), 1), 1, 0)",
        "EPERM",
    ),
    Attempt(
        "System V memory",
        "call('shmget', 0, 1 << 30, 0o777)\ncall('semget', 0, 1, 0o777)\ncall('msgget', 0, 0o777)",
        "(.* EPERM\n){3}",
    ),
    Attempt(
        "filling the scratch space",
        "block = b'x' * (1 << 20)\n"
        "def fill(path):\n"
        "  with open(path, 'wb') as file:\n"
        "    for _ in range(1000): file.write(block)\n"
        "attempt(fill, '/tmp/big')\nattempt(fill, '/dev/shm/big')\n"
        "os.unlink('/tmp/big'); os.unlink('/dev/shm/big')",
        "No space left on device.*\n.*No space left on device",
    ),
    Attempt(
        "files on their way through a socket",
        "one, other = socket.socketpair()\n"
        "attempt(socket.send_fds, one, [b'x'], [0])\n"
        "call('sendmmsg', one.fileno(), 0, 0, 0)",
        r"PermissionError \[Errno 1\].*\nsendmmsg EPERM",
    ),
    Attempt(
        "disk space at once",
        "with open('huge', 'wb') as file:\n"
        "  call(47 if ARM else 285, file.fileno(), 1, 0, ctypes.c_long(10 << 30))\n"
        "  os.posix_fallocate(file.fileno(), 0, 100_000)\n"
        "  print(os.fstat(file.fileno()).st_size)\n"
        "os.unlink('huge')",
        "ENOTSUP\n100000",
    ),
    Attempt(
        "disk space at once, as XFS named it",
        "import fcntl, struct\n"
        "space = struct.pack('hxxxxxxqq24x', 0, 0, 10 << 30)\n"
        "with open('huge', 'wb') as file:\n"
        "  for what in (0x40305828, 0x4030582A, 0x40305839):\n"
        "    attempt(fcntl.ioctl, file.fileno(), what, space)\n"
        "os.unlink('huge')",
        r"(PermissionError \[Errno 1\].*\n){3}",
    ),
    Attempt(
        "one file larger than the disk",
        "import signal\n"
        "def grow():\n"
        "  with open('huge', 'wb') as file: file.truncate(1 << 40)\n"
        "attempt(grow)\nos.unlink('huge')",
        "File too large",
    ),
]
