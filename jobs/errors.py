"""What can go wrong, in the project's own words.

- JobError
    - JobNotFound            no job has that id
    - CaptureSetNotFound     no capture set has that id
    - StationNotFound        no station has that id
    - InvalidField           a value given for a field does not fit
    - RunRefused             the run asked for cannot be claimed (any more)
    - RunEnded               the run was closed while an activity still worked for it
    - RunPaused              the run is paused: the stage goes on when it is resumed
    - AttemptSuperseded      a later attempt at the stage has begun; this one writes nothing more
    - TryAgainAfter          nothing is wrong; the work can be done a little later
        - BusyError          another job does the same to the same thing; this one waits for its turn
            - StationBusy    … to that station
            - CaptureSetBusy … to that capture set
    - StageError             a stage failed in a way that no retry can mend
        - MissingInput       the job lacks something that its type needs
        - MissingStation     the same of a station, in the words of the platform
        - MissingSource      a station has no storage source
        - InvalidSampling    a sampling method or one of its arguments does not fit
        - InvalidSource      what is said of a storage source, or of where captures lie in it, does not fit
        - StoreRefuses       an object store does not give what it is asked for
    - ServiceUnavailable     the far end of somebody else does not answer; trying again may help

Nothing here knows of HTTP or of Temporal: `api.http.errors` turns these into responses,
`activities.failures` into Temporal failures.
"""

from datetime import timedelta


class JobError(Exception):
    """Any error of our own."""


class JobNotFound(JobError):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"No job has the id {job_id}")
        self.job_id = job_id


class CaptureSetNotFound(JobError):
    def __init__(self, collection_id: int) -> None:
        super().__init__(f"No source image collection has the id {collection_id}")
        self.collection_id = collection_id


class StationNotFound(JobError):
    def __init__(self, station_id: int) -> None:
        super().__init__(f"No deployment has the id {station_id}")
        self.station_id = station_id


class InvalidField(JobError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class RunRefused(JobError):
    def __init__(self, job_id: int, reason: str) -> None:
        super().__init__(f"Job {job_id} cannot be run: {reason}")
        self.job_id = job_id


class RunEnded(JobError):
    def __init__(self, job_id: int, run: int) -> None:
        super().__init__(f"Run {run} of job {job_id} is over; nothing more is written for it")


class RunPaused(JobError):
    def __init__(self, job_id: int, run: int) -> None:
        super().__init__(f"Run {run} of job {job_id} is paused")


class AttemptSuperseded(JobError):
    def __init__(self, job_id: int, stage: str) -> None:
        super().__init__(f"A later attempt works on stage {stage} of job {job_id}")


class TryAgainAfter(JobError):
    """Nothing is wrong: the attempt ends, takes no worker's place meanwhile, and is made again after `again_after`."""

    again_after = timedelta(seconds=5)


class BusyError(TryAgainAfter):
    """Another job does the same to the same thing, and this one waits for its turn.

    The names of its kinds stand in Temporal's record of the failure and in explanations: they are never renamed.
    """

    thing = ""
    """What the jobs work on, in the words of the platform."""

    def __init__(self, job_id: int, name: object, again_after: timedelta = TryAgainAfter.again_after) -> None:
        super().__init__(f"Waiting for job {job_id}, which works on {self.thing} {name}")
        self.job_id = job_id
        self.again_after = again_after


class StationBusy(BusyError):
    thing = "deployment"


class CaptureSetBusy(BusyError):
    thing = "source image collection"


class StageError(JobError):
    """A stage failed in a way that no retry can mend."""


class MissingInput(StageError):
    def __init__(self, what: str, field: str) -> None:
        super().__init__(f"No {what} provided ({field})")


class MissingStation(StageError):
    def __init__(self, work: str) -> None:
        super().__init__(f"No deployment provided for {work} job")


class MissingSource(StageError):
    def __init__(self, station_name: str) -> None:
        super().__init__(f"Deployment {station_name} has no data source configured")


class InvalidSource(StageError):
    """The sentence is that of whoever found it."""


class StoreRefuses(StageError):
    def __init__(self, store: str, code: str, reason: str) -> None:
        super().__init__(f"{store}: {reason} ({code})")
        self.code = code


class InvalidSampling(StageError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ServiceUnavailable(JobError):
    """A service that others run does not answer: a processing service, an object store.

    Its name stands in Temporal's record of the failure and in explanations: it is never renamed.
    """

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service} does not answer: {reason}")
        self.service = service
        self.reason = reason
