#pragma once

#include <actable/stats.h>

#include <caf/meta/type_name.hpp>

/// How statistics go from process to process, in messages. `<actable/actors.h>`
/// includes this; nobody else has to.
///
/// Each function takes all the fields of its type apart, so that a field that is
/// added does not compile before it is sent too. The order is that of the bytes:
/// both processes have the same version of Actable.
namespace actable {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RecoveryStats& x) {
  auto& [cut, applied, discarded, bytes, checkpoint_records, checkpoint_bytes, duration, clean] = x;
  return f(caf::meta::type_name("actable::RecoveryStats"), cut, applied, discarded, bytes, checkpoint_records,
           checkpoint_bytes, duration, clean);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, LogStats& x) {
  auto& [io, registered, direct, rounds, syncs, frames, written, segments, live, spare, spare_bytes, staging, waits,
         overloads, nice, last, max, durations] = x;
  return f(caf::meta::type_name("actable::LogStats"), io, registered, direct, rounds, syncs, frames, written, segments,
           live, spare, spare_bytes, staging, waits, overloads, nice, last, max, durations);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CheckpointStats& x) {
  auto& [running, written, passes, failures, failure, duration, serial, cut, records, bytes] = x;
  return f(caf::meta::type_name("actable::CheckpointStats"), running, written, passes, failures, failure, duration,
           serial, cut, records, bytes);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MemoryStats& x) {
  auto& [reserved, carved, retired, compactions, returned, compacting] = x;
  return f(caf::meta::type_name("actable::MemoryStats"), reserved, carved, retired, compactions, returned, compacting);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StoreStats& x) {
  auto& [last, durable, lag, read_only, reason, heals, recovery, log, checkpoint, memory, threads, epoch, pinned, pins,
         membarrier, spaces] = x;
  return f(caf::meta::type_name("actable::StoreStats"), last, durable, lag, read_only, reason, heals, recovery, log,
           checkpoint, memory, threads, epoch, pinned, pins, membarrier, spaces);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ShardStats& x) {
  auto& [keys, payload] = x;
  return f(caf::meta::type_name("actable::ShardStats"), keys, payload);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SpaceStats& x) {
  auto& [keys, payload, records, table, segments, splits, rebuilds, merges, tombstones, entropy, max_over_mean, logged,
         shards] = x;
  return f(caf::meta::type_name("actable::SpaceStats"), keys, payload, records, table, segments, splits, rebuilds,
           merges, tombstones, entropy, max_over_mean, logged, shards);
}

}  // namespace actable
