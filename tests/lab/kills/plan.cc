#include "tests/lab/kills/plan.h"

#include "tests/support/seed.h"

#include <array>
#include <chrono>

namespace actable::lab::kills {
namespace {

template <class T, std::size_t N>
T any_of(test::Random& random, const std::array<T, N>& choices) {
  return choices[static_cast<std::size_t>(random.below(N))];
}

std::string_view name_of(LogIo io) {
  return io == LogIo::pwrite ? "pwrite" : io == LogIo::io_uring ? "io_uring" : "automatic";
}

}  // namespace

Plan plan_of(std::uint64_t seed, bool with_ring, const FailPoint* point, unsigned passage) {
  constexpr std::uint64_t k_kib = 1'024;
  test::Random random(seed);
  Plan plan{.seed = seed, .point = point, .passage = passage};
  Options& options = plan.options;
  options.log_io = with_ring ? any_of(random, std::array{LogIo::automatic, LogIo::io_uring, LogIo::pwrite})
                             : any_of(random, std::array{LogIo::automatic, LogIo::pwrite});
  // Below what users may choose, so that a life goes through many segments.
  options.segment_bytes = k_kib * any_of(random, std::array<std::uint64_t, 6>{12, 32, 64, 256, 1'024, 4'096});
  options.checkpoint_log_bytes_min = k_kib;
  options.staging_bytes = static_cast<std::size_t>(k_kib * any_of(random, std::array{1'024, 2'048, 65'536}));
  options.write_interval = std::chrono::milliseconds(1 + random.below(12));
  options.sync_interval = options.write_interval + std::chrono::milliseconds(random.below(60));
  // Only a hang comes to its end, on however slow a machine.
  options.write_deadline = std::chrono::minutes(1);
  const bool closes = random.one_in(6);
  plan.work = {.seed = random(),
               .threads = 1 + static_cast<unsigned>(random.below(test::killing::k_threads)),
               .writes = 50 + static_cast<unsigned>(random.skewed(1'200)),
               .synchronous_one_in = any_of(random, std::array{2U, 10U, 60U, 400U, 1'000'000U}),
               .checkpoint_one_in = any_of(random, std::array{0U, 30U, 100U, 400U}),
               .closes = closes || (point != nullptr && point->when == When::closing)};
  if (plan.work.closes) plan.work.writes = 10 + plan.work.writes / 10;
  if (point != nullptr && point->when == When::writing) plan.work.writes = 1'200;
  if (point != nullptr && point->name.starts_with("checkpoint.")) plan.work.checkpoint_one_in = 30;
  // A log of many segments between two checkpoints.
  if (point != nullptr && point->name == "wal.surplus.removed") {
    plan.work.checkpoint_one_in = 400;
    options.segment_bytes = 12 * k_kib;
  }
  const bool heals = point != nullptr && (point->name.starts_with("heal.") || point->name == "wal.segment.removed");
  if (heals) {
    plan.heals = point->passages_max;
    plan.work.writes = 100;
  }
  // Any spare segment is large enough for one of these.
  if (point != nullptr && point->name == "wal.segment.recycled") options.segment_bytes = 12 * k_kib;
  // Small buffers, so that they fill.
  if (point != nullptr && point->name == "staging.close_buffer") options.staging_bytes = 1'024 * k_kib;
  // Smaller ones have no room to write ahead of the frames.
  if (point != nullptr && point->name == "wal.segment.prewritten") options.segment_bytes = 1'024 * k_kib;
  return plan;
}

std::string to_text(const Plan& plan) {
  const Options& options = plan.options;
  const test::killing::Work& work = plan.work;
  const auto ms = [](std::chrono::milliseconds time) { return std::to_string(time.count()) + " ms"; };
  const std::string end = plan.point == nullptr ? "killed at a random time"
                                                : "kills itself at passage " + std::to_string(plan.passage) + " of " +
                                                      std::string(plan.point->name);
  return std::to_string(work.threads) + " threads, up to " + std::to_string(work.writes) +
         " writes each, synchronous one in " + std::to_string(work.synchronous_one_in) +
         (work.checkpoint_one_in == 0 ? "" : ", checkpoints one in " + std::to_string(work.checkpoint_one_in)) +
         (plan.heals == 0 ? "" : ", healed " + std::to_string(plan.heals) + " times") +
         (work.closes ? ", closes" : "") + ", " + std::string(name_of(options.log_io)) + ", segments of " +
         std::to_string(options.segment_bytes / 1'024) + " KiB, staging " +
         std::to_string(options.staging_bytes / 1'024) + " KiB, written every " + ms(options.write_interval) +
         ", synced every " + ms(options.sync_interval) + "; " + end;
}

}  // namespace actable::lab::kills
