"""Runs a piece of work in a fork of this process, so that its memory is its own and its libraries are loaded already.

The parent computes nothing: OpenMP's threads do not live through a fork.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from simorgh_shared.child.entry import die_with_parent
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.spawning import PARENT_PID

Work = Callable[[], dict[str, Any]]


def apart(what: str, work: Work) -> dict[str, Any]:
    """What the work returns.

    Raises: InvalidInputError, its own or `optimization_unfit` where it broke down.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(work, sender, os.getpid()))
    process.start()
    sender.close()
    try:
        answer: dict[str, Any] = receiver.recv()
    except EOFError:
        answer = {}
    process.join()
    if "code" in answer:
        raise InvalidInputError(answer["code"], **answer["params"])
    if "done" not in answer:
        reason = answer.get("reason", f"exit code {process.exitcode}")
        raise InvalidInputError("optimization_unfit", reason=f"{what} broke down ({reason})")
    done: dict[str, Any] = answer["done"]
    return done


def _answer(work: Work, sender: Connection, parent: int) -> None:
    os.environ[PARENT_PID] = str(parent)
    die_with_parent()
    try:
        sender.send({"done": work()})
    except AppError as error:
        sender.send({"code": error.code, "params": error.params})
    except Exception as error:  # told to the parent, and whole in the log
        traceback.print_exc()
        sender.send({"reason": f"{type(error).__name__}: {str(error)[:200]}"})
