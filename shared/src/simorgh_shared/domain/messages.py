"""The one catalogue of sentences for users: a code, its parameters in braces, and what to do next.

Persian sentences (R-FA-4) become a second table with the same keys.
"""

from collections.abc import Mapping

_EN: dict[str, str] = {
    # shapes and requests
    "invalid_body": "The request body does not fit: {where}: {reason}.",
    "unknown_parameter": "Unknown parameter {name}. Known parameters: {known}.",
    "invalid_parameter": "{name} is {value}: {reason}.",
    "internal_error": "Something went wrong on our side. Report it with the request id {request_id}.",
    "not_found_route": "There is nothing at {path}. The API is described at /docs.",
    "method_not_allowed": "{method} is not allowed at {path}.",
    "invalid_cursor": "The cursor is not one that this list gave. Start again without a cursor.",
    # parts that do not answer
    "database_unavailable": "The database does not answer. Nothing was changed; try again in {retry_after_s} s.",
    "storage_unavailable": "The object storage does not answer. Nothing was kept; try again in {retry_after_s} s.",
    "inference_unavailable": "The inference server does not answer. Try again in {retry_after_s} s.",
    # jobs
    "job_not_found": "There is no job {job_id} in this project.",
    "no_active_run": "There is no active training run in this project. Start one, or name one with runId.",
    "job_state_conflict": "Job {job_id} is {status}: {action} is not possible. {hint}",
    "job_active": "Job {job_id} is {status}. Cancel or stop it before deleting it.",
    "idempotency_mismatch": "This Idempotency-Key was used before with another body. Use a new key for a new request.",
    "lost_worker": "The worker lost the job {failures} times in a row, last on {worker}. Look at the worker's log, then resume.",
    "child_crashed": "The job's process ended with {how} {failures} times in a row. Its last words: {tail}",
    "child_stalled": "The job's process said nothing for {silent_s} s and was stopped.",
    "job_failed": "The job failed: {reason}",
    "artifact_lost": "An artifact that the job needs ({path}) is missing or damaged in storage. Start from another checkpoint.",
    # training
    "nan_loss": "The loss became {value} at step {step}. Lower the learning rate (it was {learning_rate}) or raise warm-up.",
    "no_rows": "The dataset has no usable rows for method {method}.",
    "out_of_memory": "The training ran out of memory. Lower the batch size (it was {batch_size}) or the sequence length.",
    "disk_full": "The worker's disk is full ({path}). Free space, then resume.",
    # the training child
    "bad_row": "Line {line} of {file} cannot be trained on: {reason}. Correct the dataset and upload it again.",
    "gpu_missing": "This worker has no GPU that can be used. Choose device auto or cpu.",
    "unknown_preset": "{model} is no preset and no model came with the job. Presets: {known}.",
    "base_model_unfit": "The model cannot be trained further: {reason}. Choose another model or a preset.",
    "checkpoint_mismatch": "The checkpoint is of {theirs}, the run asks for {ours}. Name the checkpoint's model.",
    "no_held_out": "keep: best and early stopping need held-out rows. Add a test split or raise eval_fraction.",
    "checkpoint_unreadable": "The checkpoint cannot be read ({reason}). Start from another one.",
    # the command line and the embedded servers
    "process_ended": "{name} ended with {how} before it was ready. Its log is {log}; the last lines:\n{tail}",
    "process_not_ready": "{name} was not ready after {waited_s} s. Its log is {log}; the last lines:\n{tail}",
    "already_running": "Simorgh runs on {folder} already (process {pid}, {address}). Stop it with Ctrl-C where it was started, or choose another folder with --data DIR.",
    "migration_failed": "The database could not be brought to the newest schema. The log is {log}; the last lines:\n{tail}",
    "external_storage_key_missing": "SIMORGH_S3_ENDPOINT_URL names a storage of yours, but {name} is not set. Set it, or leave both out to use the embedded storage.",
    "postgres_not_created": "PostgreSQL could not make its data folder {folder}:\n{tail}",
    "postgres_refused": "PostgreSQL does not run as root, this system allows no user namespaces, and as nobody it could not use {folder}. Choose a data folder that every user can reach (--data DIR), or run as an ordinary user:\n{tail}",
}


def sentence(code: str, params: Mapping[str, object], language: str = "en") -> str:
    """The sentence of `code` with its parameters filled in.

    Raises: KeyError for a code or parameter that the catalogue does not have (a fault of ours, found by the tests).
    """
    del language  # one table so far
    return _EN[code].format(**params)


def codes() -> frozenset[str]:
    """Every code of the catalogue."""
    return frozenset(_EN)
