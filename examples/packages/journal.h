#pragma once

#include <actable/options.h>
#include <actable/result.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace packages {

enum class Action : std::uint8_t { put, erase };

/// What happens to one package.
struct Step {
  /// Position in the index.
  std::uint32_t package;
  Action action;
};

/// One step of an operation, as the file holds it; plain bytes that mean the
/// same to the writer and to the process that reads them after its death.
struct JournalEntry {
  /// Of the operation, in the entry of its first step. 0: begun, result
  /// unknown. `k_seq_none`: finished, and nothing was written.
  std::uint64_t seq;
  /// When it was begun, on the clock that all processes share.
  std::int64_t begun_ns;
  std::uint32_t package;
  /// Steps of the operation in the entry of its first, else 0.
  std::uint16_t steps;
  Action action;
  bool sync;
};
static_assert(sizeof(JournalEntry) == 24);

/// What the parent decides for a writer.
struct JournalPlan {
  std::uint64_t seed = 0;
  /// Threads that write, each with a lane of its own.
  std::uint32_t lanes = 0;
  /// Number of the first update; a later journal goes on where this one's
  /// numbers end.
  std::uint64_t first_update = 1;
};

/// Recovery, as the writer saw it when it opened the store.
struct OpenedStore {
  actable::Seq cut;
  std::chrono::microseconds recovery;
};

/// What a writer meant to do and what it was told, in memory that is mapped
/// from a file and therefore outlives SIGKILL. Every operation is entered
/// before it is begun, and its result when it returns; so for each thread at
/// most the last operation has an unknown result.
///
/// Thread safety: each lane *confined* to one writing thread; reading is for
/// one thread after the writer has died, but for `begun` and the states.
class Journal {
 public:
  static constexpr actable::Seq k_seq_none = ~actable::Seq{0};
  static constexpr std::size_t k_steps_max = 8;
  /// Entries of a lane. The file is sparse: unused ones take no space.
  static constexpr std::uint64_t k_lane_entries = std::uint64_t{1} << 20;

  /// An operation entered and not yet finished.
  struct Ticket {
    JournalEntry* first;
    /// The number in the value of the first step; those of the next steps are
    /// `update_stride` apart.
    std::uint64_t update;
  };

  /// An operation as it is found after the writer's death.
  struct Operation {
    std::span<const JournalEntry> steps;
    /// 0 when unknown, `k_seq_none` when nothing was written.
    actable::Seq seq;
    std::uint64_t first_update;
    std::uint32_t lane;
    bool last_of_lane;
  };

  /// Makes the file, which must not exist. Fails with io_error, naming it.
  [[nodiscard]] static actable::Result<Journal> create(const std::filesystem::path& path, const JournalPlan& plan);

  /// Opens one that another process made. Fails with io_error or corrupt.
  [[nodiscard]] static actable::Result<Journal> open(const std::filesystem::path& path);

  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  [[nodiscard]] const JournalPlan& plan() const noexcept;
  [[nodiscard]] std::uint64_t update_stride() const noexcept { return plan().lanes; }
  /// The first update that is free for the next journal.
  [[nodiscard]] std::uint64_t next_first_update() const noexcept;

  /// Enters an operation of 1 to `k_steps_max` steps. Empty: the lane is full.
  [[nodiscard]] std::optional<Ticket> begin(std::uint32_t lane, std::span<const Step> steps, bool sync);
  void finish(const Ticket& ticket, actable::Seq seq);

  /// The writer has recovered the store and begins.
  void set_opened(const OpenedStore& opened);
  [[nodiscard]] std::optional<OpenedStore> opened() const;

  /// The writer gives up. The first message counts.
  void set_failure(std::string_view message);
  [[nodiscard]] std::string failure() const;

  /// Steps entered so far, by all lanes.
  [[nodiscard]] std::uint64_t begun() const;
  /// The same for one lane.
  [[nodiscard]] std::uint64_t begun(std::uint32_t lane) const;

  /// Calls `f` for every operation, lane by lane, in the order of each.
  void for_each(const std::function<void(const Operation&)>& f) const;

 private:
  struct Header;
  struct Lane;

  Journal(void* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}
  [[nodiscard]] static actable::Result<Journal> map(const std::filesystem::path& path, int file, std::size_t bytes);
  [[nodiscard]] static std::size_t file_bytes(std::uint32_t lanes);
  [[nodiscard]] Header& header() const noexcept;
  [[nodiscard]] Lane& lane(std::uint32_t number) const noexcept;

  void* memory_;
  std::size_t bytes_;
};

}  // namespace packages
