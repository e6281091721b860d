"""Runs a command in a terminal of its own and plays a script of actions against it.

    python3 pty_session.py COMMAND… -- ACTION…

Actions: `see:TEXT` waits until TEXT was written, `key:TEXT` types, `signal:NAME` sends a signal to the process,
`stopped` waits until it is stopped, `close` closes the terminal, `forget` drops what was written so far.
Prints one JSON object: the exit code (or minus the signal), whether raw mode is off again, whether the alternate screen
was left and the cursor is shown, and what was written. A command that does not end is killed and has no code.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

LIMIT = 30.0  # seconds until something that never comes is given up


def main():
    at = sys.argv.index("--")
    command, actions = sys.argv[1:at], sys.argv[at + 1:]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.close(master)
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    end, seen, mark = time.monotonic() + LIMIT, bytearray(), 0
    state = {"code": None, "closed": False}

    def pump(wait):
        if state["closed"]:
            time.sleep(wait)
        elif select.select([master], [], [], wait)[0]:
            try:
                seen.extend(os.read(master, 65536))
            except OSError:
                pass

    def drain():
        """What was written before now: a stopped process writes no more."""
        before = -1
        while before < len(seen):
            before = len(seen)
            pump(0.05)

    def ended(flags=os.WNOHANG):
        if state["code"] is None:
            done, status = os.waitpid(pid, flags)
            if done and os.WIFSTOPPED(status):
                return True
            if done:
                state["code"] = os.waitstatus_to_exitcode(status)
        return state["code"] is not None

    failed = None
    for action in actions:
        kind, _, what = action.partition(":")
        if kind == "see":
            while what.encode() not in seen[mark:] and time.monotonic() < end and not ended():
                pump(0.05)
            pump(0)
            if what.encode() not in seen[mark:]:
                failed = f"never saw {what!r}"
                break
        elif kind == "key":
            os.write(master, what.encode().decode("unicode_escape").encode())
        elif kind == "signal":
            os.kill(pid, getattr(signal, "SIG" + what))
        elif kind == "stopped":
            while not ended(os.WNOHANG | os.WUNTRACED) and time.monotonic() < end:
                pump(0.02)
            drain()
            state["left_while_stopped"] = seen.rfind(b"\x1b[?1049l") > seen.rfind(b"\x1b[?1049h")
        elif kind == "forget":
            pump(0)
            mark = len(seen)
        elif kind == "close":
            os.close(master)
            state["closed"] = True
    while not ended() and time.monotonic() < end:
        pump(0.05)
    if state["code"] is None:
        os.kill(pid, signal.SIGKILL)
    if not state["closed"]:
        drain()
    after = before if state["closed"] else termios.tcgetattr(slave)
    print(json.dumps({
        "code": state["code"],
        "failed": failed,
        "cooked": after[3] == before[3],
        "left": seen.rfind(b"\x1b[?1049l") >= seen.rfind(b"\x1b[?1049h"),
        "cursor": seen.rfind(b"\x1b[?25h") >= seen.rfind(b"\x1b[?25l"),
        "left_while_stopped": state.get("left_while_stopped"),
        "text": seen.decode(errors="replace"),
    }))


main()
