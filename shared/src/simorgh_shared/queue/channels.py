"""Names of the channels between processes, and what goes over them. All of it is quickness: PostgreSQL decides."""

NOTIFY_JOBS = "simorgh_jobs"
"""PostgreSQL channel: a queue has work (payload: the queue's name). The dispatcher listens."""

NOTIFY_CONTROL = "simorgh_control"
"""PostgreSQL channel: someone wants something of a running job (payload: its id). The dispatcher listens."""

NOTIFY_EVENTS = "simorgh_events"
"""PostgreSQL channel: the gateway wrote events of a job (payload: its id). The dispatcher listens."""

REDIS_CONTROL = "simorgh:control"
"""Redis channel: a job id whose worker should send its heartbeat now."""

REDIS_EVENTS = "simorgh:events"
"""Redis channel: one JSON object an event, `{job_id, seq, attempt, type, payload, at}`, after its commit; a message
with only `job_id` says that there is something to read."""

RING_TASK = "simorgh.ring"
"""The one Celery task: its queue has work."""
