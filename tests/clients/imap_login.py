"""Logs in with imaplib. Reads lines "port login password -" (the two in hex), writes one line for
each: "in" and the first message, or "out" and the reason, these in hex too."""

import imaplib
import sys


def try_login(port, login, password):
    client = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    client._encoding = "latin-1"  # one character for each byte
    try:
        client.login(client._quote(login), password)
    except imaplib.IMAP4.error as refusal:
        client.shutdown()
        return "out", str(refusal)
    client.select()
    message = client.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1].decode("latin-1")
    client.logout()
    return "in", message


for line in sys.stdin:
    port, login, password, _ = line.rstrip("\n").split(" ")
    outcome, text = try_login(
        int(port),
        bytes.fromhex(login).decode("latin-1"),
        bytes.fromhex(password).decode("latin-1"),
    )
    print(outcome, text.encode("latin-1").hex())
