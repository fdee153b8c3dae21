#pragma once

#include "tests/lab/history/operation.h"
#include "tests/support/seed.h"

#include <actable/store.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace actable::lab::history {

/// What the clients of one opening of the store share.
///
/// Thread safety: *synchronized*.
struct Scene {
  Scene(Store& opened, std::array<Space, 2> both, std::vector<std::string> hot);

  /// The next place in the order of calls and returns. An operation takes one
  /// before it calls the store, and one after the store has returned. All
  /// changes of one atomic have one order, and each carries with it what its
  /// thread did before: so if a return's stamp is below a call's, the one
  /// operation had ended before the other began, on whatever processors they
  /// ran. What overlapped may look so; it never looks ordered when it was not.
  [[nodiscard]] Stamp stamp() noexcept { return clock.fetch_add(1, std::memory_order_seq_cst); }

  /// Key number i lives in the space number i % 2.
  [[nodiscard]] Space& space_of(std::size_t key) { return spaces[key % spaces.size()]; }

  Store& store;
  std::array<Space, 2> spaces;
  const std::vector<std::string> keys;
  std::unordered_map<std::string_view, std::size_t> key_numbers;
  /// False while the store is being closed: only spaces may be used then.
  bool store_may_be_called = true;
  std::atomic<Stamp> clock{1};
};

/// An operation, and on which key.
///
/// Thread safety: *confined*.
struct Noted {
  std::size_t key;
  Operation operation;
};

/// What the store said to be on disk.
///
/// Thread safety: *confined*.
struct Promise {
  Stamp called = 0;
  Stamp returned = 0;
  /// All writes numbered so or lower.
  Seq durable = 0;
  /// And all that had returned before the call.
  bool all_returned = false;
};

/// One thread's random operations, and notes of them.
///
/// Thread safety: *confined* to its thread.
class Client {
 public:
  /// `life` and `number` make its values unique.
  Client(Scene& scene, std::uint64_t life, std::uint8_t number, std::uint64_t seed);

  /// One operation. Does nothing once the store is closed. Throws `Found` when
  /// the store says what it never may.
  void do_one();

  [[nodiscard]] bool closed() const noexcept { return closed_; }
  [[nodiscard]] const std::vector<Noted>& notes() const noexcept { return notes_; }
  [[nodiscard]] const std::vector<Promise>& promises() const noexcept { return promises_; }

 private:
  void get(std::size_t key);
  void visit(std::size_t key);
  void multi_get(std::size_t key);
  void scan(std::size_t key);
  void put(std::size_t key);
  void erase(std::size_t key);
  void put_if_absent(std::size_t key);
  void compare_and_set(std::size_t key);
  void add(std::size_t key);
  void update(std::size_t key);
  void take(std::size_t key);
  void batch();
  void ask_for_durability();
  void read_one(std::size_t key);
  void write_one(std::size_t key);

  [[nodiscard]] std::size_t choose_key();
  [[nodiscard]] Id new_value();
  [[nodiscard]] Operation begin(Kind kind);
  [[nodiscard]] WriteOptions options(Operation& operation);
  template <class T>
  [[nodiscard]] bool end(Operation& operation, const Result<T>& result);
  void note(std::size_t key, const Operation& operation);

  Scene& scene_;
  test::Random random_;
  const std::uint8_t number_;
  Id next_value_;
  bool closed_ = false;
  Seq last_told_ = 0;
  /// The numbers last seen, for compare_and_set.
  std::vector<Seq> seen_;
  std::vector<Noted> notes_;
  std::vector<Promise> promises_;
};

}  // namespace actable::lab::history
