"""Runs inside the sandbox: gives up what rights are left, runs a program, and says whether it ran to its end.

Nothing imports this file. Its text is handed to an interpreter that sees the standard library alone; the order comes on
standard input, the program's output goes where standard output was, the verdict where standard error was.
"""

import json
import os
import resource
import sys
from pathlib import Path


def main() -> None:
    """Read the order, run the program, write the verdict."""
    order = json.loads(sys.stdin.buffer.read())
    output, verdicts = os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    # Should memory run out after all, this is what the kernel ends first.
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if not order["has_output"]:
        os.close(output)
    if order["libraries"]:
        sys.path.append(order["libraries"])
    for name, limit in order["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    os.write(verdicts, order["started"].encode())
    first_process = os.getpid()

    def write_output(content: bytes) -> None:
        with open(output, "wb", closefd=False) as file:
            file.write(content)

    try:
        exec(compile(order["program"], "<program>", "exec"), {"__name__": "__main__", "write_output": write_output})
        verdict = order["finished"]
    except BaseException as error:  # Among them SystemExit: to leave early is not to finish.
        verdict = f"{type(error).__name__}: {error}"
    if os.getpid() == first_process:
        os.write(verdicts, verdict[:1000].encode(errors="replace"))
    os._exit(0)


if __name__ == "__main__":
    main()
