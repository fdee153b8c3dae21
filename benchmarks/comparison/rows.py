"""The rows of the comparison: what is run for each, and what it must come to.

A row is a function that takes a `Scale` and a `Program` and yields `Check`s.
"""

import dataclasses
import functools
import typing

from .program import Program

# Operations that the log's memory takes in, 64 MiB at about 150 bytes each,
# whatever the disk does; the program lets the disk catch up after each.
BURST_OPS = 300_000
BURSTS = 5
# Enough writers to be sure that the processors are not the limit.
DISK_THREADS = 2
BUSY_THREADS = 100
WRITERS = 8
SENDERS = 4
LARGE_VALUE = 1024
# Rounds of the openings that take minutes. Other engines, from which nothing is demanded
# there, are loaded and opened once.
BIG_OPENINGS = 3
# Rounds of overwriting. What the first ones take, for the log's way to the disk
# and for replaced records, has its limits; what the later ones add is creep, and
# more than this is not the noise of the allocator.
ROUNDS = 10
SETTLED_AFTER = 5
CREEP = 1.05


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is run. The defaults are those of the published figures."""

    num: int = 1_000_000
    big: int = 10_000_000
    repeat: int = 5
    seconds: float = 5

    @property
    def sizes(self):
        return (self.num, self.big)

    @property
    def burst(self):
        return min(self.num, BURST_OPS)


QUICK = Scale(num=2_000, big=4_000, repeat=1, seconds=0.05)


@dataclasses.dataclass(frozen=True)
class Check:
    """One figure with what it must be, unless nothing is demanded of it, and what it should be."""

    what: str
    measured: typing.Optional[float]
    must: typing.Optional[float]
    aim: typing.Optional[float] = None
    unit: str = "x"
    at_most: bool = False
    note: str = ""
    # It could not be run: an engine or the program failed.
    failed: bool = False

    def reaches(self, bound):
        return self.measured <= bound if self.at_most else self.measured >= bound

    @property
    def verdict(self):
        if self.measured is None:
            return "not measured"
        if self.must is not None and not self.reaches(self.must):
            return "short"
        return "aim" if self.aim is not None and self.reaches(self.aim) else "pass"


def ratio(above, below):
    return above / below if above is not None and below else None


def scaled(value, factor):
    return None if value is None else value * factor


def keys_text(keys):
    return f"{keys / 1e6:g} M keys" if keys >= 1_000_000 else f"{keys:,} keys"


def without(engine, program):
    return "" if engine in program.engines else f"{engine} is not in this build"


def waited(runs, benchmark, engine="actable"):
    """Says when the disk did not keep up, where it was to."""
    waits = runs.max("waits", benchmark, engine)
    return f"the disk fell behind: {waits} writes waited" if waits else ""


@functools.lru_cache(maxsize=None)
def tables(scale, program, keys):
    """One thread on Actable and the tables in memory; several rows read it."""
    return program.run(["fillrandom", "readrandom", "multiread", "readmissing", "overwrite"],
                       ["actable", "sharded", "boost"], num=keys, threads=1, repeat=scale.repeat)


def against_tables(scale, program, benchmark, keys, sharded, boost=None):
    runs = tables(scale, program, keys)
    own = runs.rate(benchmark)
    what = f"{benchmark}, 1 thread, {keys_text(keys)}, against "
    yield Check(what + "sharded", ratio(own, runs.rate(benchmark, "sharded")), *sharded)
    if boost:
        yield Check(what + "boost", ratio(own, runs.rate(benchmark, "boost")), boost, note=without("boost", program))


def reads(scale, program):
    for keys in scale.sizes:
        yield from against_tables(scale, program, "readrandom", keys, (3.6, 4.5), 1.4)


def overwrites(scale, program):
    for keys in scale.sizes:
        yield from against_tables(scale, program, "overwrite", keys, (2.7, 4), 1.3)


def fills(scale, program):
    for keys in scale.sizes:
        yield from against_tables(scale, program, "fillrandom", keys, (3, 5))


def second_thread(scale, program):
    reading = {"benchmarks": ["readrandom"], "num": scale.num}
    logged = {"benchmarks": ["overwrite"] * BURSTS, "num": scale.num, "ops": scale.burst}
    in_memory = {"benchmarks": ["overwrite"] * BURSTS, "num": scale.num, "durability": "none"}
    for title, benchmark, arguments, must in (("readrandom", "readrandom", reading, 1.8),
                                              ("overwrite while the disk keeps up", "overwrite", logged, 1.3),
                                              ("overwrite in memory only", "overwrite", in_memory, 1.8)):
        runs = program.in_turn(scale.repeat, {n: {**arguments, "threads": n} for n in (1, 2)})
        yield Check(f"{title}, 2 threads against 1", ratio(runs[2].rate(benchmark), runs[1].rate(benchmark)), must,
                    1.95, note=waited(runs[1] + runs[2], benchmark))


def mixed(scale, program):
    runs = program.run(["mixed50"], ["actable", "sharded"], num=scale.num, threads=2, distribution="zipf",
                       repeat=scale.repeat)
    yield Check("mixed50, Zipf 0.99, 2 threads, against sharded",
                ratio(runs.rate("mixed50"), runs.rate("mixed50", "sharded")), 2.5, 4)


def multiread(scale, program):
    runs = tables(scale, program, scale.big)
    yield Check(f"multiread of 16, {keys_text(scale.big)}, against own readrandom",
                ratio(runs.rate("multiread"), runs.rate("readrandom")), 1.8, 3)


def missing(scale, program):
    for keys in scale.sizes:
        runs = tables(scale, program, keys)
        yield Check(f"readmissing, {keys_text(keys)}, against own readrandom",
                    ratio(runs.rate("readmissing"), runs.rate("readrandom")), 1.3)


def logging(scale, program):
    shared = {"benchmarks": ["overwrite"] * BURSTS, "num": scale.num, "ops": scale.burst, "threads": 1}
    runs = program.in_turn(scale.repeat, {kind: {**shared, "durability": kind} for kind in ("async", "none")})
    yield Check("overwrite, 1 thread, logged against memory only, while the disk keeps up",
                ratio(runs["async"].rate("overwrite"), runs["none"].rate("overwrite")), 0.8, 0.9,
                note=waited(runs["async"], "overwrite"))


def busy(scale, program):
    shared = {"benchmarks": ["mixed50"], "num": scale.num, "duration": scale.seconds}
    runs = program.in_turn(scale.repeat, {n: {**shared, "threads": n} for n in (1, 2, BUSY_THREADS)})
    crowd = runs[BUSY_THREADS]
    best = max(runs[1].rate("mixed50"), runs[2].rate("mixed50"))
    what = f"{BUSY_THREADS} busy threads, mixed50: "
    yield Check(what + "rate against own best of 1 and 2", ratio(crowd.rate("mixed50"), best), 0.7, 0.9)
    yield Check(what + "longest durable lag seen", scaled(crowd.max("durable_lag_max_s", "mixed50"), 1e3), 500, 300,
                "ms", at_most=True)
    yield Check(what + "most memory beyond live data", scaled(crowd.max("beyond_live_max_bytes", "mixed50"), 2**-20),
                256, unit="MiB", at_most=True)


def others(scale, program):
    """Each engine, Actable too, at its better of 1 and 2 threads."""
    bounds = {"lmdb": (8, 5), "leveldb": (15, 15), "rocksdb": (30, 20), "redis": (8, 8)}
    runs = [program.run(["overwrite", "readrandom"], ["actable", *bounds], num=scale.num, threads=n,
                        repeat=scale.repeat) for n in (1, 2)]

    def best(benchmark, engine):
        return max((run.rate(benchmark, engine) or 0 for run in runs), default=0) or None

    for title, benchmark, which in (("puts", "overwrite", 0), ("gets", "readrandom", 1)):
        for engine, musts in bounds.items():
            yield Check(f"{title} against {engine}", ratio(best(benchmark, "actable"), best(benchmark, engine)),
                        musts[which], note=without(engine, program))


def latency(scale, program):
    shared = {"num": scale.num, "threads": 1, "duration": scale.seconds, "repeat": scale.repeat}
    full = program.run(["overwrite"], **shared).rate("overwrite")
    half = program.run(["overwrite"], rate=round(full / 2), **shared)
    what = f"put at half of full rate ({full / 2e6:.2f} M/s): "
    yield Check(what + "p50", half.median("p50_ns", "overwrite"), 400, unit="ns", at_most=True)
    yield Check(what + "p99", scaled(half.median("p99_ns", "overwrite"), 1e-3), 3, unit="us", at_most=True)
    yield Check(what + "p99.9", scaled(half.median("p999_ns", "overwrite"), 1e-3), None, 20, "us", at_most=True)


def growth(scale, program):
    runs = tables(scale, program, scale.big)
    yield Check(f"put while {keys_text(scale.big)} are filled from empty: p99.9",
                scaled(runs.median("p999_ns", "fillrandom"), 1e-3), 20, unit="us", at_most=True)


def memory(scale, program):
    for keys in scale.sizes:
        runs = tables(scale, program, keys)
        yield Check(f"memory beyond key and value, {keys_text(keys)}, after growth",
                    runs.median("bytes_per_key_own", "fillrandom"), 40, 34, "B/key", at_most=True)
    for keys in scale.sizes:
        runs = program.run(["fillrandom"] + ["overwrite"] * ROUNDS, num=keys, threads=1)
        after = runs.values("bytes_per_key_own", "overwrite")
        yield Check(f"the same after {ROUNDS} rounds of overwrite, {keys_text(keys)}", after[-1], 40, 34, "B/key",
                    at_most=True)
        resident = runs.values("bytes_per_key_rss", "overwrite")
        payload = 16 + 100
        creep = None
        if len(resident) == ROUNDS:
            creep = ratio(resident[-1] + payload, resident[SETTLED_AFTER - 1] + payload)
        yield Check(f"resident memory after {ROUNDS} rounds against after {SETTLED_AFTER}, {keys_text(keys)}", creep,
                    CREEP, at_most=True, note="" if creep else "too few keys to tell from the program's own")


def bandwidth(scale, program):
    runs = program.run(["diskwrite", "overwrite"], num=min(scale.num, 200_000), value_size=LARGE_VALUE,
                       threads=DISK_THREADS, duration=scale.seconds, repeat=scale.repeat)
    disk = runs.median("mb_per_s", "diskwrite", "disk")
    yield Check(f"log with values of 1 KiB, of the disk's sequential {disk:.0f} MB/s",
                scaled(ratio(runs.median("written_mb_per_s", "overwrite"), disk), 100), 70, 90, "%")


def synchronous(scale, program):
    shared = {"benchmarks": ["disksync", "overwrite"], "num": scale.num, "durability": "sync"}
    crowd = 64
    per_thread = max(4, min(500, scale.num // crowd))
    runs = program.in_turn(scale.repeat, {n: {**shared, "threads": n, "ops": n * per_thread} for n in (1, crowd)})
    disk = runs[1].median("p50_ns", "disksync", "disk")
    yield Check(f"synchronous put, 1 thread, p50, of the disk's {disk / 1e3:.0f} us for 4 KiB and a sync",
                ratio(runs[1].median("p50_ns", "overwrite"), disk), 2, 1.3, at_most=True)
    yield Check(f"synchronous puts, {crowd} threads against 1",
                ratio(runs[crowd].rate("overwrite"), runs[1].rate("overwrite")), 20, 40)


def idle(scale, program):
    runs = program.run(["idle"], num=scale.num, duration=2 * scale.seconds, repeat=scale.repeat)
    seconds = runs.median("seconds", "idle")
    yield Check("idle store: processor use", scaled(runs.median("cpu_cores", "idle"), 100), 0.5, unit="% of a core",
                at_most=True)
    yield Check("idle store: written an hour", runs.max("written_bytes", "idle") / seconds * 3600, 0, unit="bytes",
                at_most=True)


def actors(scale, program):
    """What the store's actors cost who calls it directly, and what comes through them."""
    note = without("actors", program)
    logged = min(scale.num, scale.burst)

    def run(benchmarks, **options):
        return program.run(benchmarks, ["actable", "actors"], num=scale.num, repeat=scale.repeat, **options)

    def rate(runs, benchmark, engine="actors"):
        return None if note else runs.rate(benchmark, engine)

    direct = run(["readrandom"] + ["overwrite"] * BURSTS, threads=1, ops=logged)
    for benchmark in ("readrandom", "overwrite"):
        yield Check(f"{benchmark}, 1 thread, with actors against without",
                    ratio(rate(direct, benchmark), direct.rate(benchmark)), 0.97, note=note)
    if note:
        for what in ("direct calls by actors", "messages", "idle with actors"):
            yield Check(what, None, None, note=note)
        return
    turns = program.run(["readrandom", "actorread"] + ["overwrite", "actoroverwrite"] * BURSTS, ["actors"],
                        num=scale.num, threads=1, ops=logged, repeat=scale.repeat)
    for own, plain in (("actorread", "readrandom"), ("actoroverwrite", "overwrite")):
        yield Check(f"{plain} by an actor against a thread", ratio(rate(turns, own), rate(turns, plain)), 0.95)
    sent = program.run(["actorput", "actorbatch", "actorrequest"] * BURSTS, ["actors"], num=scale.num, threads=SENDERS,
                       ops=logged, repeat=scale.repeat)
    for what, benchmark, must in (("one-way puts", "actorput", 1.5), ("puts in messages of 64", "actorbatch", 5)):
        yield Check(f"{what} from {SENDERS} actors", scaled(rate(sent, benchmark), 1e-6), must, unit="M/s",
                    note=waited(sent, benchmark, "actors"))
    yield Check(f"request and answer, {SENDERS} actors that ask all the time: p50",
                scaled(sent.median("p50_ns", "actorrequest", "actors"), 1e-3), 5, unit="us", at_most=True)
    yield Check("idle store with its actors: processor use",
                scaled(run(["idle"], duration=2 * scale.seconds).median("cpu_cores", "idle", "actors"), 100), 1,
                unit="% of a core", at_most=True)


def opening(scale, program):
    runs = program.run(["disksync", "openclose"], num=scale.num, ops=20, repeat=scale.repeat)
    sync_ms = runs.median("p50_ns", "disksync", "disk") / 1e6
    yield Check("open of an empty store", runs.median("p50_ns", "openclose") / 1e6, 20, unit="ms", at_most=True)
    yield Check(f"close, beyond one sync of {sync_ms:.2f} ms",
                max(runs.median("close_s", "openclose") * 1e3 - sync_ms, 0), 10, unit="ms", at_most=True)


def beside(runs, benchmark, engines):
    """What others open in a second, of the same data just after."""
    rates = {engine: runs.rate(benchmark, engine) for engine in engines}
    said = [f"{engine} {rate / 1e6:.2f}" for engine, rate in rates.items() if rate is not None]
    return "beside it, once each, in M/s: " + ", ".join(said) if said else ""


def recovery(scale, program):
    """Opening again what was closed, with the system's cache emptied of it as far as that goes."""
    others = ("rocksdb", "leveldb", "redis", "lmdb")
    ways = (("recovercheckpoint", "from a checkpoint", 3), ("recoverlog", "from the log alone", 2))
    own = program.run(["recover"], num=scale.big, threads=DISK_THREADS, repeat=min(scale.repeat, BIG_OPENINGS))
    beside_it = program.run([benchmark for benchmark, _, _ in ways], others, num=scale.big, threads=DISK_THREADS,
                            repeat=1)
    for benchmark, way, must in ways:
        yield Check(f"opening {keys_text(scale.big)} {way}", scaled(own.rate(benchmark), 1e-6), must,
                    unit="M records/s", note=beside(beside_it, benchmark, others))
    large = program.run(["recover"], num=scale.num, value_size=LARGE_VALUE, threads=DISK_THREADS, repeat=scale.repeat)
    disk = large.median("mb_per_s", "diskread", "disk")
    for benchmark, way, _ in ways:
        yield Check(f"opening values of 1 KiB {way}, of the disk's sequential {disk:.0f} MB/s",
                    scaled(ratio(large.median("opened_mb_per_s", benchmark), disk), 100), 70, unit="%")
    small = min(scale.num, 100_000)
    some = program.run(["recover"], num=small, value_size=LARGE_VALUE, threads=DISK_THREADS, repeat=scale.repeat)
    least = program.run(["recover"], num=1, repeat=scale.repeat)
    for benchmark, way, _ in ways:
        yield Check(f"opening {keys_text(small)} of 1 KiB {way}", scaled(some.median("seconds", benchmark), 1e3), 150,
                    unit="ms", at_most=True)
        yield Check(f"opening a store of one key {way}", scaled(least.median("seconds", benchmark), 1e3), 20, unit="ms",
                    at_most=True)


def slow_disk(scale, program):
    runs = program.run(["readwhilewriting"], num=min(scale.num, 200_000), value_size=LARGE_VALUE, threads=1,
                       writers=WRITERS, duration=scale.seconds, repeat=scale.repeat)
    waits = runs.median("waits", "readwhilewriting")
    note = "" if waits else "the disk kept up: nobody was slowed"
    what = f"{WRITERS} writers that outrun the disk: "
    yield Check(what + "slowest against fastest", runs.median("writer_fairness", "readwhilewriting"), 0.5, note=note)
    yield Check(what + "p99.9 of gets meanwhile", scaled(runs.median("p999_ns", "readwhilewriting"), 1e-3), 20,
                unit="us", at_most=True, note=note)


ROWS = {
    "reads": reads,
    "overwrites": overwrites,
    "fills": fills,
    "second-thread": second_thread,
    "mixed": mixed,
    "multiread": multiread,
    "missing": missing,
    "logging": logging,
    "busy": busy,
    "others": others,
    "latency": latency,
    "growth": growth,
    "memory": memory,
    "bandwidth": bandwidth,
    "sync": synchronous,
    "idle": idle,
    "actors": actors,
    "opening": opening,
    "slow-disk": slow_disk,
    # Last: it takes longest.
    "recovery": recovery,
}
