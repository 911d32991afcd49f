"""Logs in and sends a message with smtplib. Reads lines "port login password subject" (login and
password in hex), writes one line for each: "in", or "out" and the reason in hex."""

import base64
import smtplib
import sys


def try_login(port, login, password, subject):
    client = smtplib.SMTP("127.0.0.1", port, timeout=20)
    client.ehlo("client.test")
    # smtplib's own login() takes ASCII only.
    proof = base64.b64encode(b"\0" + login + b"\0" + password).decode()
    code, text = client.docmd("AUTH", "PLAIN " + proof)
    if code != 235:
        client.close()
        return "out", b"%d %s" % (code, text)
    client.sendmail(
        "sender@mail.test", ["somebody@mail.test"], f"Subject: {subject}\r\n\r\nSent.\r\n"
    )
    client.quit()
    return "in", b""


for line in sys.stdin:
    port, login, password, subject = line.rstrip("\n").split(" ")
    outcome, text = try_login(
        int(port), bytes.fromhex(login), bytes.fromhex(password), subject
    )
    print(outcome, text.hex())
