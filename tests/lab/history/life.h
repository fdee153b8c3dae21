#pragma once

#include "tests/lab/history/client.h"
#include "tests/support/simulated_disk.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace actable::lab::history {

/// How a life ends.
enum class Ending : std::uint8_t {
  /// The power goes, with whatever the disk has of what was not synced.
  power_cut,
  /// The process is killed: the system writes what it was told.
  killed,
  /// The disk fails; the clients go on, and are told so; then the power goes.
  disk_fails,
  /// The store is closed while the clients are at work.
  closed,
};
inline constexpr std::uint64_t k_endings = 4;

/// What came of one opening of the store.
///
/// Thread safety: *confined*.
struct Life {
  std::vector<Noted> notes{};
  std::vector<Promise> promises{};
  /// What is on the disk when it ends.
  std::unique_ptr<test::SimulatedDisk> image{};
  /// The image was taken between these.
  Stamp image_begun = 0;
  Stamp image_done = 0;
  std::uint64_t checkpoints = 0;
};

inline constexpr unsigned k_clients = 8;

/// Eight clients work on the hot keys of the scene until the life has ended,
/// and for a moment more, as those do whose answers no longer arrive. Beside
/// them one thread fills the hot keys' buckets with keys of its own and empties
/// them again, so that the table grows and is rebuilt under the clients; and
/// one stops a client now and then at a step inside the store, so that the
/// others overtake it there; and one writes checkpoints. Every so often all clients meet: nobody is at any
/// key then, which keeps what is to be explained at once short.
[[nodiscard]] Life live(Scene& scene, test::SimulatedDisk& disk, Ending ending, std::uint64_t number,
                        std::uint64_t seed);

/// A key whose hash is close to that of all other such keys: they share a table
/// segment for long, and those of the numbers that four divides a bucket.
[[nodiscard]] std::string near_key(std::uint64_t number, std::uint64_t hash_seed);

}  // namespace actable::lab::history
