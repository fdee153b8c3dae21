#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/workload.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace bench {

enum class Distribution {
  /// Zipf for the benchmarks of YCSB, uniform for the others.
  by_benchmark,
  uniform,
  zipf,
};

/// What the command line asks for, checked.
///
/// Thread safety: *immutable* once parsed.
struct Settings {
  std::vector<const Workload*> benchmarks;
  std::vector<const EngineKind*> engines;
  std::uint32_t num = 1'000'000;
  /// 0: as many as `num`.
  std::uint64_t ops = 0;
  unsigned threads = 1;
  /// Beside the readers of readwhilewriting.
  unsigned writers = 1;
  std::size_t key_bytes = 16;
  std::size_t value_bytes = 100;
  Distribution distribution = Distribution::by_benchmark;
  /// Keys of one call or message; 0: what the benchmark has.
  std::size_t batch = 0;
  /// Operations a second of all threads together; 0: as fast as it goes.
  double rate = 0;
  /// 0: until the operations are done.
  double duration_s = 0;
  Durability durability = Durability::async;
  bool due_checkpoints = false;
  unsigned repeat = 1;
  std::uint64_t seed = 1;
  /// Empty: $TMPDIR or /var/tmp.
  std::filesystem::path directory{};
  std::filesystem::path json{};
  std::filesystem::path csv{};
  std::filesystem::path plot{};

  [[nodiscard]] bool zipf(const Workload& workload) const noexcept {
    return distribution == Distribution::zipf || (distribution == Distribution::by_benchmark && workload.prefers_zipf);
  }

  /// Operations of all threads together, where no duration ends them.
  [[nodiscard]] std::uint64_t operations(const Workload& workload) const noexcept;

  /// Keys of one call or message; 0: one by one.
  [[nodiscard]] std::size_t batch_of(const Workload& workload) const noexcept {
    return workload.batch == 0 || batch == 0 ? workload.batch : batch;
  }

  /// Durability that the workload's writes have on an engine.
  [[nodiscard]] Durability durability_of(const EngineKind& engine, const Workload& workload) const noexcept;

  /// Why the engine cannot run the workload; empty when it can.
  [[nodiscard]] std::string why_not(const EngineKind& engine, const Workload& workload) const;

  /// Whether any of the engines can run the workload.
  [[nodiscard]] bool can_run(const Workload& workload) const;
};

/// What is left to do when the command line does not lead to a run.
struct Exit {
  int status;
  std::string message;
};

/// Status 0 with the help text, or 2 with one line that says what is wrong and
/// what is possible.
[[nodiscard]] std::expected<Settings, Exit> parse_settings(int argc, const char* const* argv);

}  // namespace bench
