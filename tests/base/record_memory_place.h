#pragma once

#include "base/record_memory.h"
#include "tests/support/threads.h"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <mutex>
#include <span>
#include <thread>

/// What the tests of record memory are written in.
namespace actable::base {

using test::expect;

/// A block filled with words that tell its number, so that a second owner of
/// any part of it shows.
struct Block {
  void* at = nullptr;
  std::size_t bytes = 0;
  std::uint64_t number = 0;

  [[nodiscard]] std::span<std::uint64_t> words() const noexcept {
    return {static_cast<std::uint64_t*>(at), bytes / sizeof(std::uint64_t)};
  }
  void stamp() const noexcept { std::ranges::fill(words(), number); }
  [[nodiscard]] bool whole() const noexcept {
    return std::ranges::all_of(words(), [this](std::uint64_t word) { return word == number; });
  }
};

/// Record memory with its epochs; each call is an operation of its own, pinned.
class Place {
 public:
  [[nodiscard]] Block allocate(std::size_t bytes, std::uint64_t number = 0) {
    const WritePin pin(epochs, slot());
    const Block block{memory.allocate(cache(), bytes), bytes, number};
    expect(block.at != nullptr, "memory is exhausted");
    block.stamp();
    return block;
  }
  void retire(const Block& block) {
    const WritePin pin(epochs, slot());
    memory.retire(cache(), block.at, block.bytes);
  }
  void release(const Block& block) {
    const WritePin pin(epochs, slot());
    memory.release(cache(), block.at, block.bytes);
  }
  [[nodiscard]] RecordMemory::Cache& cache() { return *memory.cache(thread_index()); }
  [[nodiscard]] Epochs::Slot& slot() { return *epochs.slot(thread_index()); }

  Epochs epochs;
  RecordMemory memory{epochs};
};

/// Another thread, pinned for reading as long as this lives.
class Reader {
 public:
  explicit Reader(Place& place)
      : thread_([this, &place] {
          const ReadPin pin(place.epochs, place.slot());
          pinned_.count_down();
          go_.wait();
        }) {
    pinned_.wait();
  }
  ~Reader() { go_.count_down(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  std::latch pinned_{1};
  std::latch go_{1};
  std::jthread thread_;
};

}  // namespace actable::base
