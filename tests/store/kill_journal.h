#pragma once

#include "tests/store/vocabulary.h"

#include <actable/store.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// What a process that will be killed does (kill_client.h), told in memory that
/// survives it: before each write what it will be, after it what came back. Who
/// kills it compares this with what recovery finds.
namespace actable::test::killing {

inline constexpr unsigned k_threads = 8;          // at most
inline constexpr unsigned k_entries_max = 4'000;  // a thread and life

/// Keys by what may happen to them; each thread has its own of the first two.
inline constexpr unsigned k_owned_keys = 12;   // every operation, by one thread
inline constexpr unsigned k_witness_keys = 3;  // batches of one thread, always all three
inline constexpr unsigned k_shared_keys = 6;   // writes whose number is returned, by all threads
inline constexpr unsigned k_counters = 3;      // add, by all threads
inline constexpr unsigned k_keys = k_threads * (k_owned_keys + k_witness_keys) + k_shared_keys + k_counters;

using KeyId = std::uint32_t;
[[nodiscard]] constexpr KeyId owned_key(unsigned thread, unsigned i) { return thread * k_owned_keys + i; }
[[nodiscard]] constexpr KeyId witness_key(unsigned thread, unsigned i) {
  return k_threads * k_owned_keys + thread * k_witness_keys + i;
}
[[nodiscard]] constexpr KeyId shared_key(unsigned i) { return k_threads * (k_owned_keys + k_witness_keys) + i; }
[[nodiscard]] constexpr KeyId counter_key(unsigned i) { return shared_key(k_shared_keys) + i; }
[[nodiscard]] constexpr bool is_shared(KeyId key) { return key >= shared_key(0) && key < counter_key(0); }
[[nodiscard]] constexpr bool is_counter(KeyId key) { return key >= counter_key(0); }

/// The two spaces that keys lie in, by turns, so that batches span both.
[[nodiscard]] inline std::size_t space_of(KeyId key) { return key % 2; }
/// Those two, made where they are not there. Fails the test where they cannot be.
[[nodiscard]] std::array<Space, 2> spaces_in(Store& store);
[[nodiscard]] inline std::string name_of(KeyId key) { return "key" + std::to_string(key); }
/// A space that is dropped again right after it was made.
[[nodiscard]] inline std::string doomed_space(std::uint64_t nonce) { return "doomed" + std::to_string(nonce); }

/// Bytes of the value that a nonce stands for: short as a rule, at times longer
/// than a small staging buffer; in one life of four always short, in one mostly long.
[[nodiscard]] constexpr std::size_t value_bytes(std::uint64_t nonce) {
  const std::uint64_t life = nonce >> 32;
  if (life % 4 == 2) return 8 + nonce % 24;
  if (life % 4 == 3 && nonce % 3 == 0) return 1'500 + nonce % 6'000;
  return nonce % 1'013 == 0 ? 70'000 + nonce % 60'000 : nonce % 31 == 0 ? 3'000 + nonce % 3'000 : 8 + nonce % 90;
}

enum class Verb : std::uint8_t {
  put,    // also put_if_absent, compare_and_set and update, once they have written
  erase,  // also take, and update to nothing
  add,    // one
  batch,  // `key` (put, or erased with `erases`), `shared`, and the thread's witnesses
  drop,   // makes and drops a space, then syncs
};

enum class Progress : std::uint8_t {
  none,
  begun,     // may or may not have happened
  refused,   // did not write anything
  done,      // happened, its number is not known
  numbered,  // happened with number `seq`
};

struct Entry {
  Verb verb{};
  bool synchronous = false;
  bool erases = false;
  std::atomic<Progress> progress{Progress::none};
  KeyId key = 0;
  KeyId shared = 0;
  std::uint64_t nonce = 0;
  Seq seq = 0;
  std::int64_t sum = 0;
};

/// A key as recovery left it. For a counter `nonce` is its number.
struct Found {
  bool present = false;
  bool whole = false;
  std::uint64_t nonce = 0;
  Seq seq = 0;
  bool operator==(const Found&) const = default;
};
using Dump = std::array<Found, k_keys>;
[[nodiscard]] Dump dump(Store& store);

enum class Phase : std::uint32_t { started, opening, open, dumped, wrote, closed, failed };

struct Life {
  std::atomic<Phase> phase{Phase::started};
  std::atomic<bool> at_fail_point{false};  // it ended itself there
  std::atomic<Seq> durable{0};             // highest that the store reported
  Seq cut = 0;
  Seq last_seq = 0;
  Dump found{};
  std::array<char, 400> failure{};
  std::array<std::array<Entry, k_entries_max>, k_threads> entries{};
};

/// A `Life` in a file that two processes share. Thread safety: *external*.
class Journal {
 public:
  /// `fresh`: makes the file.
  Journal(const std::filesystem::path& file, bool fresh);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  [[nodiscard]] Life& life() noexcept { return *life_; }
  [[nodiscard]] const Life& life() const noexcept { return *life_; }

 private:
  Life* life_;
};

}  // namespace actable::test::killing
