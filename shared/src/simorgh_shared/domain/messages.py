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
    "request_refused": "{request} was answered with {status}: {reason}",
    "api_refused": "{reason}",
    "api_unreachable": "The API at {url} does not answer: {reason}. Check the address, or start a platform here with: simorgh up",
    "storage_unreachable": "The storage at {url} does not take the file: {reason}. Run the same command again: it goes on where it was.",
    "no_address": "No platform runs on {folder}, and you are signed in nowhere. Start one with simorgh up, or name one with --url.",
    "not_signed_in": "You are not signed in at {url}. Sign in with: simorgh login",
    "login_incomplete": "The {missing} is missing and there is no terminal to ask for it. Give --email, and the password in SIMORGH_PASSWORD.",
    "login_file_damaged": "The file {path} holds no logins that can be read. Delete it and sign in again.",
    "file_unusable": "{path} cannot be read or written: {reason}.",
    "nothing_said": "There is no message. Give one with -m, or write it to standard input.",
    "quickstart_failed": "The training run ended as {phase}: {reason}",
    "postgres_not_created": "PostgreSQL could not make its data folder {folder}:\n{tail}",
    "postgres_refused": "PostgreSQL does not run as root, this system allows no user namespaces, and as nobody it could not use {folder}. Choose a data folder that every user can reach (--data DIR), or run as an ordinary user:\n{tail}",
    # the gateway: who is asking
    "unauthenticated": "Sign in first: send an access token or an API key as Authorization: Bearer ….",
    "token_expired": "The access token has expired. Get a new one with POST /api/auth/refresh, or sign in again.",
    "token_invalid": "The access token is not one that this server gave. Sign in again.",
    "session_revoked": "This session was ended. Sign in again.",
    "api_key_invalid": "The API key is unknown, expired or revoked. Make a new one with POST /api/keys.",
    "wrong_credentials": "The e-mail address or the password is wrong.",
    "refresh_invalid": "The refresh token is unknown or has expired. Sign in again.",
    "refresh_reused": "The refresh token was used before, so its session was ended for safety. Sign in again.",
    "rate_limited": "Too many requests at once: of this kind ({kind}) {per_s:g} a second are taken on the long run. Try again in {retry_after_s} s.",
    "sign_in_limited": "Too many attempts. Try again in {retry_after_s} s.",
    "quota_queued_jobs": "This project has {used} jobs in its queues and may have {limit}. Wait until some have started, or cancel one.",
    "quota_stored_bytes": "This project stores {used} of {limit} bytes, which leaves too little room. Delete datasets or models, or ask the operator for more.",
    "quota_gpu_hours": "This project used {used} GPU hours in the last {days:g} days and may use {limit:g}. Use the CPU, wait, or ask the operator for more.",
    "ticket_no_stream": "There is no stream at {path}. Name the path and query of one, such as /api/jobs/JOB_ID/stream.",
    "ticket_unknown": "The ticket is unknown or has long expired. Get a new one with POST /api/auth/tickets.",
    "ticket_other_stream": "The ticket is for another stream. Get one for this path and query with POST /api/auth/tickets.",
    "ticket_expired": "The ticket ended with its access token. Get a new one with POST /api/auth/tickets.",
    "ticket_too_late": "The ticket was not used in time. Get a new one with POST /api/auth/tickets and open the stream at once.",
    "ticket_used": "The ticket's stream was opened before. Go on with Last-Event-ID, or get a new ticket with POST /api/auth/tickets.",
    "email_taken": "There is an account with the address {email} already. Sign in, or register another address.",
    "forbidden": "This needs the right to {needs}, and this {holder} has only: {has}.",
    "keys_cannot_manage": "An API key cannot do this. Sign in with e-mail and password.",
    "project_not_found": "There is no project {project_id} of yours.",
    "member_not_found": "There is no user {user} to add or in this project.",
    "last_owner": "A project needs an owner. Make someone else owner first.",
    "key_not_found": "There is no API key {key_id} in this project.",
    "session_not_found": "There is no session {session_id} of yours.",
    "run_needs_dataset": "There is no dataset {dataset} in this project. Upload one, or leave dataset out to use the sample.",
    "run_unknown_model": "There is no model {model} in this project, and no preset of this name. Presets to train from scratch: {known}.",
    "method_unfit": "Method {method} does not fit: {reason}. Use method {fitting}.",
    "checkpoint_not_found": "There is no checkpoint {checkpoint_id} in this project.",
    "signing_key_missing": "SIMORGH_SIGNING_KEY (or SIMORGH_SIGNING_KEY_FILE) is not set. Set a random secret of at least {minimum} bytes.",
    "signing_key_short": "The signing secret has {length} bytes and needs at least {minimum}. Make one with: openssl rand -base64 48",
    # datasets
    "dataset_row_invalid": "Line {line} is no {row_schema} row: {reason}. Correct the file and upload it again.",
    "dataset_empty": "The file holds no rows. Upload one with at least one row.",
    "dataset_not_utf8": "The file is not UTF-8 text: byte {offset}, in line {line}. Save it as UTF-8 and upload it again.",
    "dataset_not_format": "The file is not {format}: {reason}. Give it the suffix of what it is, or correct it.",
    "dataset_unknown_schema": "The fields ({found}) are of no known kind of row. Use question and answer, messages, or text, or say which columns they are with columns.",
    "dataset_invalid": "{errors} of {rows} rows cannot be used. Correct them, or upload with on_error=skip to keep the others.",
    "dataset_no_valid_rows": "None of the {rows} rows can be used. Correct the file and upload it again.",
    "row_bad_json": "this is not one JSON object ({reason}).",
    "row_not_object": "a row is a JSON object, this is {found}.",
    "row_too_deep": "the JSON is nested too deep.",
    "row_missing_field": "the field {field} is missing.",
    "row_empty_field": "the field {field} is empty.",
    "row_wrong_type": "the field {field} is {found}, but must be {wanted}.",
    "row_field_too_long": "the field {field} is longer than {limit} characters.",
    "row_too_long": "the row is longer than {limit} bytes.",
    "row_nul": "the field {field} holds a NUL character.",
    "row_misfit": "the row does not fit: {reason}.",
    "row_no_assistant": "no message is the assistant's.",
    "row_cell_count": "the row has {found} cells, the header has {wanted}. Put text with the delimiter in quotes.",
    "row_bad_csv": "this is not CSV ({reason}).",
    "sample_missing": "The sample dataset needs the package chatterbot-corpus==1.3.3. Install it.",
    "sample_changed": "The sample dataset's {file} came out with checksum {found} and not {expected}. Install chatterbot-corpus==1.3.3.",
    "dataset_splits_differ": "The train file holds {train} rows and the test file {test} rows. Send both with the same fields, or name the kind with row_schema.",
    "dataset_version_not_found": "Dataset {dataset_id} has no version {version}. GET /api/datasets/{dataset_id}/versions lists those that there are.",
    "dataset_lost": "The bytes of dataset {dataset_id} are missing or damaged in storage. Upload the same file again.",
    # uploads
    "body_too_large": "The request has more than {limit_bytes} bytes. Send less at once.",
    "upload_type": "Files of type {suffix} are not taken. Send one of {known}.",
    "upload_too_large": "The file is larger than the limit of {limit_bytes} bytes. Split it, or raise the limit.",
    "upload_no_room": "The server has no room to check the file. Nothing was kept; try again in {retry_after_s} s.",
    "upload_unreadable": "The file could not be checked: {reason}. Nothing was kept.",
    "upload_not_found": "There is no upload {upload_id} in this project that is open. Begin one with POST /api/datasets/uploads.",
    "upload_taken": "Upload {upload_id} is complete, and job {job_id} takes it in. Cancel the job instead.",
    "upload_incomplete": "{missing} of {parts} parts are missing or have another size, the first is part {first}. Send them, then complete the upload again.",
    "upload_part_unknown": "The upload has parts 1 to {parts}; {number} is none of them.",
    "upload_hash_mismatch": "The file {name} arrived with the SHA-256 {found}, and {expected} was promised. Nothing was kept; send it again.",
    "upload_lost": "What was sent of {name} is gone from storage. Send it again.",
    "uploads_open_limit": "This project has {open} unfinished uploads and may have {limit}. Finish or abort one: GET /api/datasets/uploads lists them.",
    "dataset_not_found": "There is no dataset {dataset_id} in this project. GET /api/datasets/list names those that there are.",
    # models that are sent
    "model_file_pickle": "{path} is {found}, which can run code when it is loaded. Convert the weights to safetensors (model.save_pretrained(folder) in transformers), and leave this file out.",
    "model_file_code": "{path} is program code, and code that comes with a model is never run here. Leave it out.",
    "model_remote_code": "{path} names code of its own (auto_map), which is never run here. If transformers knows the model itself, delete auto_map and send the folder without its .py files; else it cannot be used.",
    "model_file_foreign": "{path} is {found}. A model holds safetensors, GGUF, ONNX, OpenVINO IR or CTranslate2 weights, and text, JSON and tokenizer files beside them. Leave it out, or convert it.",
    "model_file_damaged": "{path} is no usable {format} file: {reason}.",
    "model_custom_operator": "{path} uses {operator}, an operator that needs code or files of its own. Export the model with standard operators.",
    "model_path_unfit": "{path} cannot be a file of a model: {reason}. Rename it or leave it out.",
    "model_archive_unfit": "The archive cannot be unpacked: {reason}. Send a .tar, .tar.gz or .zip of the folder.",
    "model_folder_unfit": "The folder is no complete model: {reason}.",
    "model_kind_unfit": "The model is of kind {found} by its content, and cannot be {kind}. Leave kind out.",
    # inference
    "model_not_found": "There is no model {model} in this project. GET /v1/models lists those that there are.",
    "no_model_yet": "This project has no model to chat with yet. Train one with POST /api/train/start.",
    "conversation_not_found": "There is no conversation {conversation_id} of yours in this project. GET /api/chat/conversations lists those that there are.",
    "system_not_first": "A system text is taken with the first message of a new conversation only. Leave conversation_id out, or leave system out.",
    "context_length_exceeded": "The prompt has {prompt_tokens} tokens and asks for {max_tokens} more; the model's window holds {context_tokens}. Shorten one of them.",
    "prompt_refused": "The model's chat template cannot take these messages: {reason}",
    "engine_lost": "The engine that held this request has died. Nothing else is lost; send the request again.",
    "engine_busy": "The model has as many requests as it takes. Try again in {retry_after_s} s.",
    "model_damaged": "The file {path} of model {model} is missing or damaged in storage, so the model cannot be loaded. Restore the file from a backup, or make the model again and ask for its new version.",
    "engine_start_failed": "The engine of model {model} did not start: {reason}",
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
