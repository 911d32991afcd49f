"""Runs a command at a terminal of its own, types at its prompts, and says what became of both.

usage: prompt.py ACTIONS COMMAND...
Each action is done at the next prompt, once the terminal shows nothing that is typed: "type:TEXT"
types a line, "signal:NAME" sends a signal, "key:HEX" types a byte, "stop:TEXT" stops the command by
SIGTSTP, lets it go on and types a line. Prints how the command ended, whether the modes of the
terminal are as before, how much input was left to the next program, and what was shown.
"""
import fcntl, os, select, signal, sys, termios, time

DEADLINE = time.monotonic() + 30
master, slave = os.openpty()
before = termios.tcgetattr(slave)
actions, command = sys.argv[1].split(","), sys.argv[2:]

pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    os.closerange(3, 100)
    os.execv(command[0], command)


def wait(what, condition):
    while not condition():
        if time.monotonic() > DEADLINE:
            os.kill(pid, signal.SIGKILL)
            sys.exit(f"waited in vain for {what}; {seen!r}")
        time.sleep(0.005)


seen = b""


def read(end):
    global seen
    if select.select([master], [], [], 0)[0]:
        try:
            seen += os.read(master, 4096)
        except OSError:
            pass
    return end in seen


def echo():
    return bool(termios.tcgetattr(slave)[3] & termios.ECHO)


status = None
for action in actions:
    kind, _, value = action.partition(":")
    wait("a prompt", lambda: read(b": "))
    seen = b""
    wait("no echo", lambda: not echo())
    if kind == "type":
        os.write(master, value.encode() + b"\n")
    elif kind == "key":
        os.write(master, bytes.fromhex(value))
    elif kind == "signal":
        os.kill(pid, signal.Signals[value])
    elif kind == "stop":
        os.kill(pid, signal.SIGTSTP)
        _, status = os.waitpid(pid, os.WUNTRACED)
        print("stopped", os.WIFSTOPPED(status), "echo", echo())
        os.kill(pid, signal.SIGCONT)
        wait("no echo again", lambda: not echo())
        os.write(master, value.encode() + b"\n")


def ended():
    global status
    read(b"\0")
    done, status = os.waitpid(pid, os.WNOHANG)
    return done == pid


wait("the end", ended)
while select.select([master], [], [], 0)[0]:
    read(b"\0")
signaled = os.WIFSIGNALED(status)
print("ended", signal.Signals(os.WTERMSIG(status)).name if signaled else os.WEXITSTATUS(status))
after = termios.tcgetattr(slave)
print("modes", "as before" if after == before else f"{before} became {after}")
fcntl.fcntl(slave, fcntl.F_SETFL, os.O_NONBLOCK)
try:
    print("left", len(os.read(slave, 4096)))
except BlockingIOError:
    print("left", 0)
print("shown", seen.decode(errors="replace").replace("\r", ""))
