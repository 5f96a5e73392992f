#!/usr/bin/env python3
"""The one command of valkey-cli that compose asks: `ping`, with the password of REDISCLI_AUTH."""

import os
import socket
import sys

with socket.create_connection(("127.0.0.1", 6379), timeout=5) as connection:
    connection.sendall(f"AUTH {os.environ['REDISCLI_AUTH']}\r\n{sys.argv[1]}\r\n".encode())
    answers = connection.makefile("r", newline="\r\n")
    answers.readline()
    sys.stdout.write(answers.readline().lstrip("+"))
