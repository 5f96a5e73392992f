"""An engine child that follows a script in place of a model: what the front sees of an engine is the socket alone.

Run as `python scripted_engine.py STARTS WORD… --model-dir DIR --socket PATH`. Each start adds a line to the file STARTS
and does what the word of its number says, the last word for all further ones:

- `dies`: ends itself with the first request in hand, before it has taken it
- `takes`: takes the first request, then ends itself
- `stammers`: takes the first request, writes half a line, then ends itself
- `raises`: takes the first request, then ends by an exception that holds what was said
- `freezes`: takes the first request, then says nothing more
- `loses`: takes each request, then says that it cannot be answered
- `unfit`: says that it cannot load the model, and ends
- `works`: answers each request with one token
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    """Follow the script."""
    at = sys.argv.index("--model-dir")
    starts, words = Path(sys.argv[1]), sys.argv[2:at]
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    word = words[min(len(starts.read_text().splitlines()), len(words)) - 1]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[sys.argv.index("--socket") + 1])
        if word == "unfit":
            _say(connection, {"unfit": "it is made of straw"})
            return
        _say(connection, {"ready": {"context_tokens": 10}})
        for line in connection.makefile("rb"):
            request = json.loads(line)
            if word != "dies":
                _say(connection, {"step": [{"id": request["id"], "taken": True}]})
            if word == "raises":
                raise ValueError("a secret")
            if word == "freezes":
                signal.pause()
            if word == "loses":
                _say(connection, {"step": [{"id": request["id"], "finish": "lost"}]})
                continue
            if word == "stammers":
                connection.sendall(b'{"step": [{"id": ')
            if word != "works":
                os.kill(os.getpid(), signal.SIGKILL)
            told = {"text": "bird", "finish": "stop", "prompt_tokens": 1, "completion_tokens": 1}
            _say(connection, {"step": [{"id": request["id"], **told}]})


def _say(connection: socket.socket, message: dict[str, object]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
