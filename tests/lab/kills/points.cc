#include "tests/lab/kills/points.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace actable::lab::kills {
namespace {

constexpr std::array k_points = std::to_array<FailPoint>({
    {"wal.identity.created", When::creating, 1},
    {"recovery.leftover_removed", When::creating, 1, "wal.identity.created"},
    {"wal.identity.written", When::creating, 1},
    {"wal.identity.synced", When::creating, 1},
    {"wal.identity.renamed", When::creating, 1},

    {"checkpoint.file.reading", When::recovering, 1, "checkpoint.published"},
    {"recovery.read", When::recovering, 1'000},
    {"recovery.looked_behind", When::recovering, 4},
    {"recovery.replayed", When::recovering, 1},
    {"recovery.synced", When::recovering, 1},
    {"recovery.marker.before_write", When::recovering, 1},
    {"recovery.marker.written", When::recovering, 1},
    {"recovery.marker.synced", When::recovering, 1},
    {"log.begin", When::recovering, 1},
    {"recovery.log_opened", When::recovering, 1},
    {"checkpoint.leftover.removed", When::recovering, 1, "checkpoint.file.created"},
    {"recovery.recovered", When::recovering, 1},

    {"wal.frame.before_submit", When::writing, 200},
    {"wal.frame.submitted", When::writing, 200},
    {"wal.frame.written", When::writing, 200},
    {"wal.marker.submitted", When::writing, 40},
    {"wal.sync.before", When::writing, 20},
    {"wal.sync.submitted", When::writing, 20},
    {"wal.sync.after", When::writing, 20},
    {"wal.sync.reported", When::writing, 20},
    {"wal.tail.sealed", When::writing, 1},
    {"wal.segment.created", When::writing, 12},
    {"wal.segment.allocated", When::writing, 12},
    {"wal.segment.switched", When::writing, 12},
    // A segment made in vain is one to be used again.
    {"wal.segment.recycled", When::writing, 1, "wal.segment.allocated"},
    {"wal.segment.prewritten", When::writing, 4},
    {"wal.segment.closed", When::writing, 8},
    {"wal.surplus.removed", When::writing, 2},
    {"catalog.space.written", When::writing, 3},
    {"catalog.space.erased", When::writing, 3},

    {"checkpoint.file.created", When::writing, 4},
    {"checkpoint.block.written", When::writing, 4},
    {"checkpoint.file.written", When::writing, 4},
    {"checkpoint.file.synced", When::writing, 4},
    {"checkpoint.covered", When::writing, 4},
    {"checkpoint.manifest.created", When::writing, 4},
    {"checkpoint.manifest.written", When::writing, 4},
    {"checkpoint.manifest.synced", When::writing, 4},
    {"checkpoint.manifest.renamed", When::writing, 4},
    {"checkpoint.published", When::writing, 4},
    {"checkpoint.file.removed", When::writing, 2},
    {"checkpoint.cut", When::writing, 4},
    {"checkpoint.cover", When::writing, 4},

    // Each life that ends at one of these has its log fail a few times at its end.
    {"heal.bumped", When::writing, 3},
    {"heal.segment.switched", When::writing, 3},
    {"heal.segment.written", When::writing, 3},
    {"heal.prepared", When::writing, 3},
    {"heal.published", When::writing, 3},
    {"heal.begun", When::writing, 3},
    {"wal.segment.removed", When::writing, 3},

    // Steps at which other tests stop threads. Here the process ends at them,
    // between a number and its record, and in the middle of a batch.
    {"epoch.lease", When::writing, 30},
    {"log.bumped", When::writing, 40},
    {"staging.append", When::writing, 500},
    {"staging.close_buffer", When::writing, 2},
    {"store.before_draw", When::writing, 500},
    {"store.published", When::writing, 500},
    {"batch.before_draw", When::writing, 100},
    {"batch.between_keys", When::writing, 300},

    {"log.join", When::closing, 1},
    {"wal.close.begun", When::closing, 1},
    {"wal.close.written", When::closing, 1},
    {"log.end", When::closing, 1},
});

}  // namespace

std::span<const FailPoint> fail_points() { return k_points; }

const FailPoint* fail_point(std::string_view name) {
  if (name.empty()) return nullptr;
  const auto* const found = std::ranges::find(k_points, name, &FailPoint::name);
  if (found == k_points.end()) throw std::invalid_argument("no such fail point: " + std::string(name));
  return found;
}

}  // namespace actable::lab::kills
