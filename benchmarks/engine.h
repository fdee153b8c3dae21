#pragma once

#include "benchmarks/keys.h"
#include "benchmarks/workload.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench {

/// The run cannot go on: an engine failed, or returned wrong data. The message
/// is for the person at the terminal.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a write promises.
enum class Durability {
  /// Nothing: pure memory, no log.
  none,
  /// A log is written; the call does not wait for it.
  async,
  /// On disk on return.
  sync,
};

[[nodiscard]] std::string_view to_string(Durability durability) noexcept;

/// What is asked of an engine about one key.
enum class Verb { get, put, erase };

/// One of several operations that are handed over together.
struct Call {
  Verb verb;
  std::string_view key;
  /// Of a put.
  std::string_view value{};
  /// Where a get leaves what it found.
  std::string* result = nullptr;
  /// Whether a get found the key, or an erase had something to erase.
  bool found = false;
};

/// One thread's way into an engine. What a thread needs for each operation
/// (transactions, buffers, handles) lives here, so that no operation pays for
/// making it. Every function may throw `Failure`.
///
/// Thread safety: *confined* to one thread at a time.
class Session {
 public:
  using Values = std::span<std::optional<std::string>>;

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  virtual void put(std::string_view key, std::string_view value) = 0;

  /// Copies the value out, reusing the string's memory. False: no such key.
  virtual bool get(std::string_view key, std::string& value) = 0;

  /// Looks up keys in one call where the engine has such a call, else one by
  /// one. `values` is as long as `keys`; absent keys become empty.
  virtual void multi_get(std::span<const std::string_view> keys, Values values);

  /// False: the engine says that there was no such key. Engines that cannot
  /// know without a read return true.
  virtual bool erase(std::string_view key) = 0;

  /// Operations that `apply` should be given together, for engines that are
  /// reached through a pipeline; 1: there is nothing to gain.
  [[nodiscard]] virtual std::size_t calls_at_once() const noexcept { return 1; }

  /// Does all of them, in this order.
  virtual void apply(std::span<Call> calls);

  /// As `put` of each, one after the other.
  virtual void put_each(std::span<const KeyBlock::Slot> slots) = 0;

  /// As `get` of each, one after the other, until one finds no value or one that does
  /// not belong to the key; how many found theirs. `value` is where each is copied to.
  virtual std::size_t get_each(std::span<const KeyBlock::Slot> slots, std::string& value) = 0;
};

/// A session whose loops call `put` and `get` of `Derived` itself: a call by way of a
/// table of functions for each operation, and what is kept over it, would be a part
/// of what is measured.
template <class Derived>
class LoopingSession : public Session {
 public:
  void put_each(std::span<const KeyBlock::Slot> slots) final {
    for (const KeyBlock::Slot& slot : slots) derived().Derived::put(slot.key, slot.value);
  }

  std::size_t get_each(std::span<const KeyBlock::Slot> slots, std::string& value) final {
    std::size_t found = 0;
    while (found < slots.size() && derived().Derived::get(slots[found].key, value) && slots[found].matches(value))
      ++found;
    return found;
  }

 private:
  [[nodiscard]] Derived& derived() noexcept { return static_cast<Derived&>(*this); }
};

/// What an engine says of itself while it works, where it does.
struct Counters {
  /// Bytes handed to the disk since it was opened.
  std::optional<std::uint64_t> written_bytes{};
  /// Writes that had to wait because the disk was behind, or, where they may not
  /// wait, were refused; since it was opened.
  std::optional<std::uint64_t> waits{};
  /// Age of the oldest write that is not on disk yet; 0 when all are.
  std::optional<double> durable_lag_s{};
  /// Checkpoints that were written, of engines that have actors for it.
  std::optional<std::uint64_t> checkpoints{};
};

class Remote;

/// An open store of some kind.
///
/// Thread safety: *synchronized*, but for opening and destroying.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  /// Sessions that are alive at the same time are of the same durability. None
  /// is alive when the engine is destroyed.
  [[nodiscard]] virtual std::unique_ptr<Session> session(Durability durability) = 0;

  /// Where whole plans are done instead of single operations, for operations
  /// that come this way (`whole_plans`, `has_actors`); null where sessions do.
  [[nodiscard]] virtual Remote* remote(Way) noexcept { return nullptr; }

  /// Waits until what was written is on disk, so that one benchmark does not
  /// pay for the one before it.
  virtual void settle() {}

  /// Writes all that it holds to a checkpoint, which the next opening reads. Only of
  /// engines that have such a thing (`EngineKind::has_checkpoint`).
  virtual void checkpoint() { throw Failure("this engine writes no checkpoints"); }

  /// Bytes that the engine read when it was opened, where it says so.
  [[nodiscard]] virtual std::optional<std::uint64_t> opened_bytes() { return std::nullopt; }

  /// Bytes that the engine itself says it holds for its keys, keys and values
  /// included. Empty: it keeps no such account.
  [[nodiscard]] virtual std::optional<std::uint64_t> memory_bytes() { return std::nullopt; }

  /// Any thread may ask, some dozens of times a second.
  [[nodiscard]] virtual Counters counters() { return {}; }
};

/// How far an engine has come in reading its files.
struct Opening {
  std::uint64_t bytes_read;
  std::uint64_t bytes_total;
  std::optional<double> left_s;
};

struct EngineOptions {
  /// An existing directory of its own, empty when the engine is to be new.
  std::filesystem::path directory;
  /// `none`: without a log, where the engine can do without.
  Durability durability;
  /// Sizes to plan for, for engines that must know in advance.
  std::uint64_t keys_max;
  std::size_t key_bytes;
  std::size_t value_bytes;
  /// What is written is to stay in the log, where the engine would otherwise move it
  /// from there to files that it need not read when it opens.
  bool keep_in_log = false;
  /// Checkpoints are written when they are due, by engines that have actors for it.
  bool due_checkpoints = false;
  /// For engines that tell; called by one thread at a time before `open` returns.
  std::function<void(const Opening&)> opening{};
};

/// What is known of an engine before it is opened.
struct EngineKind {
  std::string_view name;
  /// Version, and the settings that a reader of the figures should know.
  std::string about;
  /// It has a log, or files that take its place: it can be synchronous, and can
  /// be opened again after closing.
  bool has_log;
  /// It can write what it holds to a checkpoint, which it loads when it opens.
  bool has_checkpoint = false;
  /// It runs in a process of its own, whose memory and processor use are not
  /// those of this one.
  bool own_process = false;
  /// It is given whole plans and has no sessions.
  bool whole_plans = false;
  /// It can be called by actors and sent messages.
  bool has_actors = false;
  std::size_t key_bytes_max;
  std::unique_ptr<Engine> (*open)(const EngineOptions& options);
};

inline constexpr std::size_t k_no_limit = static_cast<std::size_t>(-1);

}  // namespace bench
