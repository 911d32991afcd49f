"""Logs in with poplib. Reads lines "port login password -" (the two in hex), writes one line for
each: "in" and the first message, or "out" and the reason, these in hex too."""

import poplib
import sys


def try_login(port, login, password):
    client = poplib.POP3("127.0.0.1", port, timeout=20)
    client.encoding = "latin-1"  # one character for each byte
    try:
        client.user(login)
        client.pass_(password)
    except poplib.error_proto as refusal:
        client.close()
        return "out", refusal.args[0].decode("latin-1")
    message = b"\n".join(client.retr(1)[1]).decode("latin-1")
    client.quit()
    return "in", message


for line in sys.stdin:
    port, login, password, _ = line.rstrip("\n").split(" ")
    outcome, text = try_login(
        int(port),
        bytes.fromhex(login).decode("latin-1"),
        bytes.fromhex(password).decode("latin-1"),
    )
    print(outcome, text.encode("latin-1").hex())
