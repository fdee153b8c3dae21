#include "actors/debug_documents.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

namespace actable::actors {
namespace {

using debug::Document;
using List = Document::List;
using Map = Document::Map;
using std::chrono::milliseconds;

[[nodiscard]] const char* name_of(ActorStats::State state) noexcept {
  switch (state) {
    case ActorStats::State::running:
      return "running";
    case ActorStats::State::restarting:
      return "restarting";
    case ActorStats::State::stopped:
      return "stopped";
  }
  return "unknown";
}

[[nodiscard]] const char* name_of(LogIo io) noexcept {
  switch (io) {
    case LogIo::automatic:
      return "automatic";
    case LogIo::io_uring:
      return "io_uring";
    case LogIo::pwrite:
      return "pwrite";
  }
  return "unknown";
}

[[nodiscard]] const char* name_of(CheckpointCompression compression) noexcept {
  switch (compression) {
    case CheckpointCompression::none:
      return "none";
    case CheckpointCompression::zstd:
      return "zstd";
  }
  return "unknown";
}

[[nodiscard]] Document document_of(const LogStats& log) {
  return Map{{"io", log.io},
             {"registered_buffers", log.registered_buffers},
             {"direct_io", log.direct_io},
             {"rounds", log.rounds},
             {"syncs", log.syncs},
             {"frames", log.frames},
             {"written_bytes", log.written_bytes},
             {"segments", log.segments},
             {"live_bytes", log.live_bytes},
             {"segments_spare", log.segments_spare},
             {"spare_bytes", log.spare_bytes},
             {"staging_bytes", log.staging_bytes},
             {"nice", log.nice},
             {"waits", log.waits},
             {"overloads", log.overloads},
             {"sync_duration_last_us", log.sync_duration_last.count()},
             {"sync_duration_max_us", log.sync_duration_max.count()},
             {"sync_durations", List(log.sync_durations.begin(), log.sync_durations.end())}};
}

[[nodiscard]] Map option(const char* name, Document value, bool live = false) {
  return Map{{"option", name}, {"value", std::move(value)}, {"live", live}};
}

[[nodiscard]] std::string text(milliseconds time) { return std::to_string(time.count()) + "ms"; }

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 5> k_times{{{"", 1}, {"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"h", 3'600'000}}};
constexpr std::array<Unit, 5> k_sizes{
    {{"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", std::uint64_t{1} << 30}}};

/// Empty where the text is no number with one of these units, or too large a one.
template <std::size_t N>
[[nodiscard]] std::optional<std::uint64_t> parse(std::string_view value, const std::array<Unit, N>& units) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit = value.substr(static_cast<std::size_t>(end - value.data()));
  for (const Unit& known : units) {
    constexpr auto k_most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (known.name == unit && number <= k_most / known.factor) return number * known.factor;
  }
  return std::nullopt;
}

}  // namespace

Document document_of(const CheckpointStats& checkpoint) {
  return Map{{"running", checkpoint.running}, {"written_bytes", checkpoint.written_bytes},
             {"passes", checkpoint.passes},   {"failures", checkpoint.failures},
             {"failure", checkpoint.failure}, {"duration_us", checkpoint.duration.count()},
             {"serial", checkpoint.serial},   {"cut", checkpoint.cut},
             {"records", checkpoint.records}, {"bytes", checkpoint.bytes}};
}

Document document_of(const Healed& healed) {
  return Map{{"began_anew", healed.began_anew},
             {"durable", healed.durable},
             {"open_from", healed.open_from},
             {"records", healed.records},
             {"bytes", healed.bytes}};
}

Document document_of(const StoreStats& stats) {
  const RecoveryStats& recovery = stats.recovery;
  return Map{
      {"store", Map{{"last_seq", stats.last_seq},
                    {"durable_seq", stats.durable_seq},
                    {"durable_lag_us", stats.durable_lag.count()},
                    {"read_only", stats.read_only},
                    {"read_only_reason", stats.read_only_reason},
                    {"heals", stats.heals},
                    {"threads", stats.threads},
                    {"epoch", stats.epoch},
                    {"epoch_pinned_oldest", stats.epoch_pinned_oldest},
                    {"pins_long", stats.pins_long},
                    {"membarrier", stats.membarrier},
                    {"spaces", stats.spaces}}},
      {"recovery", Map{{"cut", recovery.cut},
                       {"records_applied", recovery.records_applied},
                       {"records_discarded", recovery.records_discarded},
                       {"log_bytes", recovery.log_bytes},
                       {"checkpoint_records", recovery.checkpoint_records},
                       {"checkpoint_bytes", recovery.checkpoint_bytes},
                       {"duration_us", recovery.duration.count()},
                       {"clean", recovery.clean}}},
      {"log", document_of(stats.log)},
      {"checkpoint", document_of(stats.checkpoint)},
      {"memory", Map{{"reserved_bytes", stats.memory.reserved_bytes},
                     {"carved_bytes", stats.memory.carved_bytes},
                     {"retired_bytes", stats.memory.retired_bytes},
                     {"compactions", stats.memory.compactions},
                     {"returned_bytes", stats.memory.returned_bytes},
                     {"compacting", stats.memory.compacting}}},
  };
}

Document document_of(const std::string& name, const SpaceStats& stats) {
  return Map{{"name", name},
             {"logged", stats.logged},
             {"keys", stats.keys},
             {"payload_bytes", stats.payload_bytes},
             {"record_bytes", stats.record_bytes},
             {"table_bytes", stats.table_bytes},
             {"segments", stats.segments},
             {"splits", stats.splits},
             {"rebuilds", stats.rebuilds},
             {"merges", stats.merges},
             {"tombstones", stats.tombstones},
             {"shard_entropy", stats.shard_entropy},
             {"shard_max_over_mean", stats.shard_max_over_mean}};
}

Document document_of(const ShardStats& stats) {
  return Map{{"keys", stats.keys}, {"payload_bytes", stats.payload_bytes}};
}

Document document_of(const ActorStats& stats) {
  return Map{{"name", stats.name},
             {"state", name_of(stats.state)},
             {"waiting", stats.waiting},
             {"processed", stats.processed},
             {"refused", stats.refused},
             {"restarts", stats.restarts},
             {"busy_us", stats.busy.count()},
             {"last_crash", stats.last_crash}};
}

Document document_of(const Options& opened_with, const store::StoreCore::Tuning& now, const ActorOptions& actors) {
  return List{option("directory", debug::Bytes{opened_with.directory.string()}),
              option("shards", opened_with.shards),
              option("write_interval", text(now.write_interval), true),
              option("sync_interval", text(now.sync_interval), true),
              option("segment_bytes", opened_with.segment_bytes),
              option("staging_bytes", opened_with.staging_bytes),
              option("write_deadline", text(now.write_deadline), true),
              option("retired_bytes", now.retired_bytes, true),
              option("log_io", name_of(opened_with.log_io)),
              option("log_nice", std::to_string(opened_with.log_nice)),
              option("checkpoint_interval", text(opened_with.checkpoint_interval)),
              option("checkpoint_log_percent", opened_with.checkpoint_log_percent),
              option("checkpoint_log_bytes_min", opened_with.checkpoint_log_bytes_min),
              option("checkpoint_bytes_per_second", now.checkpoint_bytes_per_second, true),
              option("checkpoint_nice", opened_with.checkpoint_nice),
              option("checkpoint_compression", name_of(opened_with.checkpoint_compression)),
              option("checkpoint_compression_level", opened_with.checkpoint_compression_level),
              option("checkpoint_at_close", opened_with.checkpoint_at_close),
              option("create_if_missing", opened_with.create_if_missing),
              option("debug_socket", true),
              option("mailbox_max", actors.mailbox_max),
              option("waiters_max", actors.waiters_max),
              option("sample_every", actors.sample_every, true),
              option("analytics_actors", actors.analytics_actors),
              option("analytics_window", text(actors.analytics_window)),
              option("restart_delay", text(actors.restart_delay)),
              option("restart_delay_max", text(actors.restart_delay_max)),
              option("restarts_max", actors.restarts_max),
              option("restart_window", text(actors.restart_window))};
}

Result<store::StoreCore::Tuning> with_option(store::StoreCore::Tuning tuning, std::string_view option,
                                             std::string_view value) {
  const auto set_time = [&](milliseconds& time) {
    const auto number = parse(value, k_times);
    if (number) time = milliseconds(*number);
    return number.has_value();
  };
  const auto set_size = [&](std::size_t& bytes) {
    const auto number = parse(value, k_sizes);
    if (number) bytes = *number;
    return number.has_value();
  };
  bool set = false;
  if (option == "write_interval") {
    set = set_time(tuning.write_interval);
  } else if (option == "sync_interval") {
    set = set_time(tuning.sync_interval);
  } else if (option == "write_deadline") {
    set = set_time(tuning.write_deadline);
  } else if (option == "retired_bytes") {
    set = set_size(tuning.retired_bytes);
  } else if (option == "checkpoint_bytes_per_second") {
    set = set_size(tuning.checkpoint_bytes_per_second);
  } else {
    return fail(ErrorCode::invalid_argument,
                "the option '" + std::string(option) +
                    "' cannot be set in a running store; write_interval, sync_interval, "
                    "write_deadline, retired_bytes, checkpoint_bytes_per_second and sample_every can");
  }
  if (set) return tuning;
  return fail(ErrorCode::invalid_argument, "'" + std::string(value) + "' is no value for " + std::string(option) +
                                               ": give it as 20ms or 2s, or as 64MiB where it is a size");
}

}  // namespace actable::actors
