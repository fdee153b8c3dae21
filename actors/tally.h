#pragma once

#include "actors/reuse_distance.h"
#include "actors/space_saving.h"
#include "store/sampler.h"

#include <actable/analytics.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace actable::actors {

/// A key as samples have it: known by its space and its hash, shown by its first
/// bytes.
struct SeenKey {
  std::uint64_t hash = 0;
  std::uint32_t space = 0;
  std::uint16_t bytes = 0;
  std::uint8_t shown_bytes = 0;
  std::array<char, store::Sample::k_shown_bytes_max> shown{};

  [[nodiscard]] std::string_view text() const noexcept { return {shown.data(), shown_bytes}; }
  friend bool operator==(const SeenKey& a, const SeenKey& b) noexcept { return a.hash == b.hash && a.space == b.space; }
};

[[nodiscard]] SeenKey key_of(const store::Sample& sample) noexcept;

struct SeenPair {
  SeenKey first{};
  SeenKey second{};
  friend bool operator==(const SeenPair&, const SeenPair&) = default;
};

/// Keys' hashes are good as they are; spaces' numbers are small.
struct SeenHash {
  [[nodiscard]] std::size_t operator()(const SeenKey& key) const noexcept {
    constexpr std::uint64_t k_odd = 0x9e3779b97f4a7c15u;
    return static_cast<std::size_t>(key.hash ^ key.space * k_odd);
  }
  [[nodiscard]] std::size_t operator()(const SeenPair& pair) const noexcept {
    constexpr std::uint64_t k_odd = 0xd6e8feb86659fd93u;
    return (*this)(pair.first) * k_odd + (*this)(pair.second);
  }
};

using HotKeys = SpaceSaving<SeenKey, SeenHash>;
using KeyPairs = SpaceSaving<SeenPair, SeenHash>;

/// What the samples of a time say.
///
/// Thread safety: *confined*.
class Tally {
 public:
  static constexpr std::size_t k_counters = 1'024;
  static constexpr std::size_t k_distance_keys = 4'096;
  static constexpr std::size_t k_slowest = 64;

  /// A sample that took long.
  struct Slow {
    store::Sample sample;
    [[nodiscard]] friend bool operator<(const Slow& a, const Slow& b) noexcept {
      // The shortest is the first of a heap.
      return a.sample.latency > b.sample.latency;
    }
  };

  explicit Tally(std::size_t shards) : cells_(shards * k_operations) {}

  /// A batch is one thread's, in the order of its operations. `shard_of(hash)`
  /// is below the number given at construction. Where it throws, for lack of
  /// memory, the tally is to be thrown away.
  template <class ShardOf>
  void add(const store::SampleBatch& batch, ShardOf&& shard_of) {
    run_length_ = 0;
    for (std::size_t i = 0; i < batch.count; ++i) add(batch.samples[i], shard_of(batch.samples[i].hash));
  }

  /// What is to be said with the names of spaces, which a tally does not know.
  struct Unnamed {
    HotKeys keys{k_counters};
    KeyPairs pairs{k_counters};
    std::vector<Slow> slowest{};
  };
  /// Adds what is counted here to `into` and `unnamed`.
  void report(Analytics& into, Unnamed& unnamed) const;

 private:
  struct Cell {
    std::uint64_t count = 0;
    std::uint64_t successful = 0;
    LatencyHistogram latency{};
  };

  void add(const store::Sample& sample, std::size_t shard);
  void add_to_run(const SeenKey& key, const store::Sample& sample);
  void add_to_slowest(const store::Sample& sample);

  /// By shard, then operation; null where there was none.
  std::vector<std::unique_ptr<Cell>> cells_;
  std::uint64_t samples_ = 0;
  HotKeys keys_{k_counters};
  KeyPairs pairs_{k_counters};
  ReuseDistance distance_{k_distance_keys};
  /// A heap of the `k_slowest` slowest.
  std::vector<Slow> slowest_;
  std::array<std::uint64_t, Analytics::k_size_buckets> key_bytes_{};
  std::array<std::uint64_t, Analytics::k_size_buckets> value_bytes_{};
  /// The keys of the run so far.
  std::array<SeenKey, store::Sampler::k_run> run_{};
  std::size_t run_length_ = 0;
};

}  // namespace actable::actors
