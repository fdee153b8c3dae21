#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/result.h"
#include "benchmarks/runner.h"
#include "benchmarks/settings.h"
#include "benchmarks/workload.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace bench {

/// Keeps one engine as the benchmarks need it: opens it, loads it when nothing
/// has, leaves the data for the next benchmark, opens it anew where one begins
/// with nothing, and removes its files at the end.
///
/// Thread safety: *confined*.
class Host {
 public:
  /// Files go below `directory`.
  Host(const EngineKind& kind, const Settings& settings, Runner& runner, const std::filesystem::path& directory);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  /// Runs a workload that the engine can run (`Settings::why_not`). Throws
  /// `Failure` and `Interrupted`.
  [[nodiscard]] Result run(const Workload& workload);

 private:
  void prepare(const Workload& workload, Durability durability);
  void open_anew(Durability durability, bool keep_in_log);
  void open(Durability durability, std::function<void(const Opening&)> opening = {});
  void close();
  [[nodiscard]] Result run_threads(const Workload& workload, Durability durability);
  [[nodiscard]] Result run_recovery(const Workload& workload, Durability durability);
  [[nodiscard]] Result run_idling(const Workload& workload);
  [[nodiscard]] Result run_openings(const Workload& workload, Durability durability);
  [[nodiscard]] Result run_task(const Workload& workload, Durability durability);
  [[nodiscard]] double live_bytes();
  void weigh(Result& result);
  [[nodiscard]] std::string label(const Workload& workload) const;

  const EngineKind& kind_;
  const Settings& settings_;
  Runner& runner_;
  std::filesystem::path directory_;
  std::unique_ptr<Engine> engine_;
  Content content_ = Content::nothing;
  bool logged_ = false;
  bool keeps_log_ = false;
  std::uint64_t resident_before_ = 0;
};

}  // namespace bench
