"""The lines that every job writes to its log (contract 2.6; wording as on the platform's own page)."""

from jobs.status import Status


def running(job_id: int, name: str) -> str:
    return f'Running job #{job_id} "{name}" ({Status.PENDING})'


def running_again(job_id: int, name: str, status: Status) -> str:
    return f'Re-running job #{job_id} "{name}" ({status})'


def changing_status(job_id: int, status: Status) -> str:
    return f"Changing status of job {job_id} to {status}"


def finished(job_id: int, name: str, status: Status) -> str:
    return f'Finished job #{job_id} "{name}" ({status})'


def failed(job_id: int, name: str, reason: str) -> str:
    return f'Job #{job_id} "{name}" failed: {reason}'


def pausing(job_id: int) -> str:
    return f"Pausing job {job_id}: what is under way is finished, nothing new is begun"


def resuming(job_id: int) -> str:
    return f"Resuming job {job_id}"
