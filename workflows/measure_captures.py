"""How large the pictures of a station are: a stage of every job type that changes which captures there are."""

from jobs.runs import ClaimedRun
from jobs.stages import STORAGE_QUEUE, Stage

MEASURE = Stage(
    "measure_captures",
    "Picture sizes",
    takes=ClaimedRun,
    gives=type(None),
    counts=("Captures measured", "Sessions not measured"),
    queue=STORAGE_QUEUE,
)
