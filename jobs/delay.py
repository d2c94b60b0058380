"""The stage that a job waits in before its work: `delay` seconds, visible and cancellable (contract 2.5, 3.6)."""

from jobs.stages import Param, StageSnapshot
from jobs.status import Status

KEY = "delay"
SLEEPY, DIZZY, PARTY = "😴", "😵‍💫", "🥳"
# a delay of any length is reported about this often, so that its history stays small
MOST_REPORTS = 30
SHORTEST_STEP = 2


def snapshot(seconds: int, elapsed: int | None = None) -> StageSnapshot:
    """The stage after so many of its seconds; before it began if None."""
    stage = StageSnapshot(KEY, "Delay", params=[Param.named("Delay", seconds), Param.named("Mood", SLEEPY)])
    if elapsed is None:
        return stage
    over = elapsed >= seconds
    stage.status = Status.SUCCESS if over else Status.STARTED
    stage.progress = 1.0 if over else elapsed / seconds
    stage.param("Mood").value = PARTY if over else DIZZY
    return stage


def steps(seconds: int) -> list[int]:
    """The lengths, in seconds, of the naps that make up a delay; none if it is negative."""
    step = max(SHORTEST_STEP, -(-seconds // MOST_REPORTS))
    whole, rest = divmod(max(seconds, 0), step)
    return [step] * whole + [rest] * (rest > 0)


def line(job_id: int, elapsed: int, seconds: int) -> str:
    return f"Delaying job {job_id} for the {elapsed} out of {seconds} seconds"
