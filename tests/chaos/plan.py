"""What happens in a chaos run: every job that is asked for and every fault, decided by a seed before it begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from tests.chaos import makers
from tests.chaos.makers import MAKERS
from tests.chaos.work import Work
from workflows.registry import JOB_TYPES


class Kind(StrEnum):
    """How a job is asked for, and what is done to it."""

    PLAIN = "plain"
    DELAYED = "delayed"
    TWICE = "started twice at once"
    RETRIED = "retried after its end"
    CANCELLED_WAITING = "cancelled in a long delay"
    CANCELLED_SOMETIME = "cancelled at any moment"
    BAD = "bad input"
    PAUSED = "paused and resumed"
    PROGRAM = "started by a program"
    PROBE = "probe after a fault"


DRAWN = tuple(kind for kind in Kind if kind is not Kind.PROBE)
"""Kinds of which there is at least one job of each type."""
WEIGHTS = {Kind.PLAIN: 4, Kind.CANCELLED_SOMETIME: 3, Kind.PROGRAM: 2, Kind.RETRIED: 2, Kind.PAUSED: 2}
"""How often a kind is drawn; once if it is not named."""
BY_CHANCE = (Kind.PROGRAM, Kind.PROBE)
"""Kinds whose jobs are made while the run goes on, so that their ids come by chance."""
UNSURE = (*BY_CHANCE, Kind.TWICE)
"""Kinds for which no method may be used that draws by job id and run number."""
LARGE_SHARE = 0.2
LONG_DELAY = 900


@dataclass(frozen=True)
class Wish:
    """One job that is asked for."""

    number: int
    kind: Kind
    work: Work
    at: float
    """Seconds after the beginning."""
    delay: int = 0
    moment: float = 0.0
    """Seconds from its start to what is done to it: a cancel, or a pause."""
    hold: float = 0.0
    """Seconds that it is paused."""

    @property
    def name(self) -> str:
        return f"Chaos {self.number}"

    @property
    def calm(self) -> "Wish":
        """The same job in a run without faults, which must show the whole effect."""
        return replace(self, kind=Kind.PLAIN) if self.kind is Kind.CANCELLED_SOMETIME else self


class Action(StrEnum):
    KILL = "kill"
    INTERRUPT = "interrupt"
    CUT = "cut"
    FREEZE = "freeze"


PROCESSES = ("worker", "api", "temporal", "postgres")
PASSAGES = ("worker-postgres", "worker-temporal", "api-postgres", "api-temporal")
HOW_MANY = {"worker": 2, "api": 2}
CUTS = (Action.INTERRUPT, Action.CUT, Action.FREEZE)
KINDS_OF_FAULTS = (
    *((Action.KILL, target) for target in PROCESSES),
    *((action, target) for target in PASSAGES for action in CUTS),
)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    at: float
    action: Action
    target: str
    who: tuple[int, ...]
    """Which of the processes of that name, or whose passages."""
    lasts: float
    """Seconds until it is started, opened or thawed again."""
    probe: int
    """Number of the job by which recovery is measured."""

    @property
    def kind(self) -> str:
        return f"{self.action} {self.target}"


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    wishes: tuple[Wish, ...]
    """By number, from 1, in the order of their times."""
    faults: tuple[Fault, ...]

    def wish(self, number: int) -> Wish:
        return self.wishes[number - 1]


def make(
    seed: int, seconds: float, *, rate: float = 2.0, gap: tuple[float, float] = (3.0, 8.0), only: str = ""
) -> Plan:
    """The plan of a seed: `rate` jobs a second, faults `gap` seconds apart; every type and kind of job in it.

    With `only`, a part of their names, faults of those kinds alone.
    """
    makers.require(tuple(JOB_TYPES))
    random = Random(seed)
    kinds = [(action, target) for action, target in KINDS_OF_FAULTS if only in f"{action} {target}"]
    if not kinds:
        raise ValueError(f"no kind of fault is named {only!r}")
    faults = list(_faults(random, seconds, gap, kinds))
    wishes = [*_drawn(random, seconds, rate), *_around(random, faults)]
    wishes.sort(key=lambda wish: (wish.at, wish.number))
    numbers = {wish.number: place for place, wish in enumerate(wishes, start=1)}
    return Plan(
        seed,
        seconds,
        tuple(replace(wish, number=numbers[wish.number]) for wish in wishes),
        tuple(replace(fault, probe=numbers[fault.probe]) for fault in faults),
    )


def _faults(
    random: Random, seconds: float, gap: tuple[float, float], kinds: Sequence[tuple[Action, str]]
) -> Iterator[Fault]:
    """Every kind once, in any order, before any comes again."""
    bag: list[tuple[Action, str]] = []
    at, number = min(2.0, gap[0]), 0
    while at < seconds:
        if not bag:
            bag = random.sample(kinds, len(kinds))
        action, target = bag.pop()
        lasts = _lasts(random, action, target, seconds)
        if at + lasts < seconds:
            number -= 1  # below those of all other jobs, until all have their place
            yield Fault(at, action, target, _who(random, target, action), lasts, probe=number)
        at += random.uniform(*gap)


def _lasts(random: Random, action: Action, target: str, seconds: float) -> float:
    if action is Action.KILL:
        return random.uniform(0, 3)
    if action is Action.INTERRUPT:
        return 0.0
    if target == "worker-temporal" and seconds >= 60 and random.random() < 0.3:
        # longer than a heartbeat may be late: another worker takes over what this one still does
        return random.uniform(11, 14)
    return random.uniform(1, 5)


def _who(random: Random, target: str, action: Action) -> tuple[int, ...]:
    many = HOW_MANY.get(target.partition("-")[0], 1)
    if many > 1 and random.random() < 0.25:
        return tuple(range(many))
    return (random.randrange(many),)


def _drawn(random: Random, seconds: float, rate: float) -> Iterator[Wish]:
    """Jobs at any time: one of each type and kind first, then by lot."""
    pairs = [(key, kind) for key in sorted(MAKERS) for kind in DRAWN]
    weights = [WEIGHTS.get(kind, 1) for _, kind in pairs]
    more = max(0, round(rate * seconds) - len(pairs))
    for number, (key, kind) in enumerate([*pairs, *random.choices(pairs, weights, k=more)], start=1):
        yield _wish(random, number, key, kind, random.uniform(0, max(1.0, seconds - 2)))


def _around(random: Random, faults: list[Fault]) -> Iterator[Wish]:
    """A large job just before each fault, so that it hits work under way, and a probe after it."""
    for place, fault in enumerate(faults):
        key = random.choice(sorted(MAKERS))
        heavy = MAKERS[key].plain(random, large=True, steady=False)
        yield Wish(1_000_000 + place, Kind.PLAIN, heavy, max(0.0, fault.at - random.uniform(0.0, 0.5)))
        probe = MAKERS[key].plain(random, large=False, steady=True)
        yield Wish(fault.probe, Kind.PROBE, probe, fault.at)


def _wish(random: Random, number: int, key: str, kind: Kind, at: float) -> Wish:
    maker = MAKERS[key]
    large = random.random() < LARGE_SHARE or kind is Kind.CANCELLED_SOMETIME
    plain = maker.plain(random, large=large, steady=kind in UNSURE)
    return Wish(
        number,
        kind,
        maker.bad(random) if kind is Kind.BAD else plain,
        at,
        delay=_delay(random, kind),
        moment=random.uniform(0, 3 if kind is Kind.CANCELLED_WAITING else 1),
        hold=random.uniform(0.2, 2),
    )


def _delay(random: Random, kind: Kind) -> int:
    match kind:
        case Kind.CANCELLED_WAITING:
            return LONG_DELAY
        case Kind.DELAYED | Kind.PAUSED:
            return random.randint(1, 3)
        case Kind.TWICE:
            return 2  # else the run may be over between two clicks that a fault has held up
        case _:
            return 0
