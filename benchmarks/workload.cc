#include "benchmarks/workload.h"

#include <algorithm>
#include <array>

namespace bench {

namespace {

constexpr std::array k_workloads = {
    Workload{.name = "fillseq",
             .what = "puts every key into an empty store, in order",
             .order = Order::sequential,
             .reads_percent = 0,
             .begins = Content::nothing},
    Workload{.name = "fillrandom",
             .what = "puts every key into an empty store, in random order",
             .order = Order::shuffled,
             .reads_percent = 0,
             .begins = Content::nothing},
    Workload{.name = "overwrite", .what = "puts keys that are there", .reads_percent = 0},
    Workload{.name = "readrandom", .what = "gets keys that are there"},
    Workload{.name = "multiread", .what = "gets --batch keys a call", .batch = 16},
    Workload{.name = "readmissing", .what = "gets keys that are not there", .read = Kind::read_missing},
    Workload{.name = "readwhilewriting",
             .what = "gets, while --writers threads more put as fast as they can; the gets count",
             .writer_beside = true},
    Workload{.name = "mixed50", .what = "half gets, half puts", .reads_percent = 50},
    Workload{.name = "fillsync",
             .what = "puts into an empty store, each on disk when it returns",
             .reads_percent = 0,
             .begins = Content::nothing,
             .ends = Content::other,
             .sync = true},
    Workload{.name = "erase",
             .what = "erases every key, in random order",
             .order = Order::shuffled,
             .write = Kind::erase,
             .reads_percent = 0,
             .ends = Content::other},
    Workload{.name = "churn",
             .what = "puts a new key, erases the oldest, and so on: the size stays",
             .order = Order::pairs,
             .reads_percent = 0,
             .ends = Content::other},
    Workload{.name = "recoverlog",
             .what = "closes a store that was loaded and nothing else, and opens it again, from its log",
             .task = Task::recovery_from_log,
             .ends = Content::other},
    Workload{.name = "recovercheckpoint",
             .what = "has the loaded store write a checkpoint, closes it, and opens it again",
             .task = Task::recovery_from_checkpoint,
             .ends = Content::other},
    Workload{.name = "ycsb-a", .what = "50 % gets, 50 % puts", .reads_percent = 50, .prefers_zipf = true},
    Workload{.name = "ycsb-b", .what = "95 % gets, 5 % puts", .reads_percent = 95, .prefers_zipf = true},
    Workload{.name = "ycsb-c", .what = "gets", .prefers_zipf = true},
    Workload{.name = "ycsb-d",
             .what = "95 % gets of the latest keys, 5 % inserts",
             .order = Order::latest,
             .reads_percent = 95,
             .ends = Content::other,
             .prefers_zipf = true},
    Workload{.name = "ycsb-e",
             .what = "95 % scans, 5 % inserts",
             .unavailable = "ycsb-e is not available until there are ordered spaces: it scans keys in order"},
    Workload{.name = "ycsb-f",
             .what = "50 % gets, 50 % read, change and put back",
             .write = Kind::read_modify_write,
             .reads_percent = 50,
             .prefers_zipf = true},
    Workload{.name = "openclose",
             .what = "makes a store, puts one key, closes it; the opening counts",
             .task = Task::opening,
             .begins = Content::nothing,
             .ends = Content::other},
    Workload{.name = "idle",
             .what = "leaves the loaded store alone for --duration, 5 s if not given: processor use, bytes written",
             .task = Task::idling},
    Workload{.name = "actorread", .what = "readrandom by actors, which hold the space", .way = Way::calls_of_actors},
    Workload{.name = "actoroverwrite",
             .what = "overwrite by actors, which hold the space",
             .reads_percent = 0,
             .way = Way::calls_of_actors},
    Workload{.name = "actorput",
             .what = "actors send puts one-way to the space's actor",
             .reads_percent = 0,
             .way = Way::one_way},
    Workload{.name = "actorbatch",
             .what = "actors send --batch puts a message",
             .reads_percent = 0,
             .batch = 64,
             .way = Way::batches},
    Workload{.name = "actorrequest",
             .what = "actors ask the space's actor, half gets, half puts, each after the answer before",
             .reads_percent = 50,
             .way = Way::requests},
    Workload{.name = "diskwrite",
             .what = "no engine: writes 1 MiB blocks in sequence with O_DIRECT for --duration, 2 s if not given",
             .task = Task::disk_writes},
    Workload{.name = "diskread",
             .what = "no engine: reads 1 MiB blocks in sequence with O_DIRECT for --duration, 2 s if not given",
             .task = Task::disk_reads},
    Workload{.name = "disksync",
             .what = "no engine: writes 4 KiB with O_DIRECT and syncs, each time",
             .task = Task::disk_syncs,
             .sync = true},
};

}  // namespace

std::span<const Workload> workloads() noexcept { return k_workloads; }

const Workload* find_workload(std::string_view name) noexcept {
  const auto* found = std::ranges::find(k_workloads, name, &Workload::name);
  return found == k_workloads.end() ? nullptr : found;
}

const Workload& loading() noexcept { return *find_workload("fillrandom"); }

}  // namespace bench
