#pragma once

#include "tests/lab/crash/history.h"
#include "tests/lab/failures/seam.h"

#include <actable/store.h>

#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace actable::lab {

inline constexpr std::uint64_t k_segment_bytes = std::uint64_t{64} << 10;

/// Options of the client's store.
[[nodiscard]] Options script_options(std::uint64_t segment_bytes = k_segment_bytes);

/// What the disk might hold after a crash, and what had happened until then.
struct Moment {
  test::SimulatedDisk::Image image;
  History history;
  std::string where;
  /// Of a backup that failed: it may be refused as unfinished, or be what it was before.
  std::optional<History> before{};
};

/// What a result says, for those who ask.
template <class T>
std::optional<Error> error_of(Result<T>&& result) {
  if (result) return std::nullopt;
  return std::move(result).error();
}

/// The one user of a store whose calls or allocations fail. Knows what each of
/// its calls came to, and holds the store to it at once: what was refused has
/// changed nothing, what was done is there, and without a failure all is done.
/// At the end of each life the disk is kept for those who judge recoveries.
///
/// Thread safety: *confined* to whoever runs.
class Client {
 public:
  Client(test::Scheduler& scheduler, Disk& disk, Disk& backup, Seam& seam)
      : scheduler_(scheduler), disk_(disk), backup_(backup), seam_(seam) {}

  /// Opens the store. If that fails the disk and the memory are well again
  /// from then on, and the store is opened once more.
  void open(const Options& options = script_options());
  /// Closes the store; the disk and the memory are well again from then on.
  void close();

  void make_space(const std::string& name);
  void drop_space(const std::string& name);
  void put(const Key& key, std::size_t bytes, WriteOptions options = {});
  void put_if_absent(const Key& key);
  void compare_and_set(const Key& key);
  void add(const Key& key);
  void update(const Key& key, WriteOptions options = {});
  void erase(const Key& key);
  void take(const Key& key);
  void batch(const std::vector<Key>& keys, WriteOptions options = {});
  void read(const Key& key);
  /// All of a space, by a cursor.
  void scan(const std::string& space);
  void sync();

  /// Lets so much time pass, and the log's thread with it.
  void pause(std::chrono::milliseconds time);
  /// Has the log fail under a write to the key, and heals the store. Where that fails,
  /// once more with the disk and the memory well again.
  void fail_and_heal(const Key& key);
  /// Writes a checkpoint, in parts.
  void checkpoint();
  /// Copies the store to a directory on another disk.
  void backup();
  /// Opens the last backup as a store, if it is a whole one, and closes it.
  void open_backup();
  /// Puts a file into the directory that a crash might have left of a checkpoint.
  void leave_behind(const std::string& name);

  [[nodiscard]] const std::vector<Moment>& moments() const noexcept { return moments_; }

 private:
  /// How one call of the store ended.
  struct Came {
    std::optional<Error> error;
    /// What a call gives that can find nothing to do.
    bool wrote = true;
  };

  [[nodiscard]] Came ask(std::string_view what, bool may_throw, const std::function<Came()>& call);
  void write(std::string_view what, const Key& key, std::optional<std::string> value, WriteOptions options,
             const std::function<Came(Space&)>& call);
  void finish(std::size_t write, const Key& key);
  [[nodiscard]] std::vector<std::size_t> begin_batch(const std::vector<Key>& keys);
  [[nodiscard]] bool fill(Batch& batch, const std::vector<std::size_t>& writes);
  void finish_batch(const std::vector<std::size_t>& writes);
  [[nodiscard]] bool failed_in_this_life() const noexcept;
  void tolerate(std::string_view what, const Error& error, bool waited) const;
  void compare(std::string_view after);
  void keep(const std::string& where);
  void heal();
  [[nodiscard]] bool healed();
  [[nodiscard]] std::optional<Space> space(const std::string& name);
  [[nodiscard]] std::optional<Error> try_open(const Options& options);
  [[nodiscard]] Seq number_now(const Key& key);
  [[nodiscard]] std::string fresh_value(std::size_t bytes);

  test::Scheduler& scheduler_;
  Disk& disk_;
  Disk& backup_;
  Seam& seam_;
  History history_;
  /// What the last backup that was made holds; nothing before there was one.
  History backed_up_;
  bool backup_whole_ = false;
  /// What readers see.
  Content content_;
  std::optional<Store> store_;
  std::vector<Moment> moments_;
  std::uint64_t serial_ = 0;
  Seq highest_ = 0;
  std::uint64_t failures_before_ = 0;
  /// The log was made to fail, apart from what the run is about.
  bool broken_ = false;
};

/// What the client does in each run: every kind of operation, over four lives.
void run_script(Client& client);

}  // namespace actable::lab
