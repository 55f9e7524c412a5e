"""Say whether this machine can run the course, or what to fix.

    python notebooks/check_machine.py

Needs no package, and any Python from 3.6 on. Before the course is installed it judges the machine;
afterwards it also loads the packages and compares the bundled data with their checksums. Exit
status 0 means ready, 1 that there is something to fix.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHONS = (3, 11), (3, 13)  # oldest and newest
MEMORY = 4  # gigabytes: the system, a browser, and a lesson's 1.3
DISK = {"Linux": 8}  # gigabytes to install; PyTorch for Linux brings CUDA along, others need 3
LOAD = "import av, cv2, jupyterlab, openvino, torch, torchvision, trackers, ultralytics, reidlib"
ELSEWHERE = "use Binder, Colab or another machine"


def memory() -> float:
    """Return this machine's memory in gigabytes."""
    if sys.platform != "win32":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30

    class Status(ctypes.Structure):  # MEMORYSTATUSEX of Windows
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)]
        _fields_ += [("total", ctypes.c_ulonglong), ("others", ctypes.c_ulonglong * 6)]

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status.total / 2**30


def base() -> str:
    """Return the version of what wheels are built for: macOS, or on Linux the C library."""
    return platform.mac_ver()[0] if sys.platform == "darwin" else platform.libc_ver()[1]


def machine_faults(
    python: tuple, bits: int, system: str, base: str, processor: str, gigabytes: float
) -> list:
    """Return what is wrong with a machine, a sentence each; none if it will do."""
    faults = []
    if not PYTHONS[0] <= python <= PYTHONS[1]:
        number = ".".join(map(str, python))
        faults.append(
            f"Python {number} is not among 3.11, 3.12 and 3.13: install 3.12 from python.org and "
            "run this check with it"
        )
    if bits != 64:
        faults.append("this Python is a 32-bit program: install the 64-bit one from python.org")
    version = tuple(int(part) for part in base.split(".")[:2] if part.isdigit())
    if system == "Darwin" and processor != "arm64":
        faults.append(f"PyTorch no longer supports Intel Macs: {ELSEWHERE}")
    elif system == "Darwin" and version < (14,):
        faults.append(f"macOS {base} is too old for PyTorch: update to 14 or later")
    elif system == "Windows" and processor.lower() not in ("amd64", "x86_64"):
        faults.append(f"OpenVINO does not run on Windows on ARM: {ELSEWHERE}")
    elif system == "Linux" and version < (2, 28):
        faults.append(f"PyTorch needs glibc 2.28, here is {base or 'none'}: {ELSEWHERE}")
    if gigabytes < MEMORY - 0.5:  # machines sold as 4 GB report less
        faults.append(f"{gigabytes:.1f} GB of memory, {MEMORY} are needed: {ELSEWHERE}")
    return faults


def course_faults() -> list:
    """Return what keeps the course from running in this Python, a sentence each."""
    faults = []
    sums = _run(os.path.join(ROOT, "data", "checksums.py"))
    if sums.returncode:
        found = (sums.stdout + sums.stderr).splitlines()
        faults.append(f"the bundled data are not whole ({found[0]}): copy the folder again")
    sys.path.insert(0, os.path.join(ROOT, "notebooks"))
    import course

    lacking = course.missing()
    if lacking:
        free, needed = shutil.disk_usage(ROOT).free / 2**30, DISK.get(platform.system(), 3)
        if free < needed:
            faults.append(f"{free:.1f} GB of disk are free, {needed} are needed: delete something")
        faults.append(f"missing: {', '.join(lacking)}. In {ROOT} run\n{install()}")
        return faults
    loaded = _run("-c", LOAD)
    if loaded.returncode:
        reason = loaded.stderr.strip().splitlines()[-1]
        faults.append(f"the packages do not load ({reason}): {_remedy(reason)}")
    elsewhere = os.environ.get("REIDLIB_DATA")  # the lessons read there first
    if elsewhere and os.path.isdir(os.path.join(elsewhere, "plaza")):
        lacking = course.absent(course.Path(elsewhere, "plaza"))
        if lacking:
            faults.append(
                f"REIDLIB_DATA={elsewhere} lacks {', '.join(lacking[:4])}: copy the folder data "
                "there again, or unset it"
            )
    return faults


def install() -> str:
    """Return the commands that install the course, for this machine and folder."""
    pins = " -c constraints.txt" if os.path.exists(os.path.join(ROOT, "constraints.txt")) else ""
    python, commands = sys.executable, []
    if sys.prefix == sys.base_prefix:  # not in an environment yet
        commands.append(f"{_typed(python)} -m venv .venv")
        python = os.path.join(".venv", "Scripts" if sys.platform == "win32" else "bin", "python")
    commands.append(f"{_typed(python)} -m pip install{pins} -e .")
    commands.append(f"{_typed(python)} {os.path.join('notebooks', 'check_machine.py')}")
    return "\n".join("    " + command for command in commands)


def _typed(path: str) -> str:
    if sys.platform == "win32":  # as PowerShell wants it
        return f'& "{path}"' if " " in path else path
    return shlex.quote(path)


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def _remedy(reason: str) -> str:
    if "libGL" in reason or "libgthread" in reason:
        return "sudo apt-get install libgl1 libglib2.0-0"
    if "DLL" in reason or "WinError" in reason:
        return "install Microsoft's Visual C++ Redistributable (x64) and start the machine again"
    return "delete .venv and install again"


def main() -> int:
    """Print the verdict; return 0 if this machine is ready, else 1."""
    python, bits, gigabytes = sys.version_info[:2], 64 if sys.maxsize > 2**32 else 32, memory()
    faults = machine_faults(python, bits, platform.system(), base(), platform.machine(), gigabytes)
    verdict = "not ready" if faults else "the machine will do"
    faults = faults or course_faults()
    machine = f"Python {python[0]}.{python[1]}, {os.cpu_count()} cores, {gigabytes:.0f} GB"
    print(f"{machine}: {verdict if faults else 'ready'}")
    for fault in faults:
        print(f"- {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
