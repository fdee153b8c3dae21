#pragma once

#include "tests/lab/crash/disk.h"
#include "tests/lab/crash/history.h"
#include "tests/support/routed_files.h"
#include "tests/support/scheduler.h"

#include <actable/store.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actable::lab {

/// Where backups go.
inline constexpr const char* k_backup_directory = "/backup";

/// What a client can do. The first ten are what programs are enumerated from.
enum class Step : std::uint8_t {
  put,
  erase,
  batch,
  add,
  drop_space,
  sync,
  /// Lets so much time pass that what is staged is handed to the disk.
  round,
  /// Puts so much that the log goes on in another segment.
  rotate,
  reopen,
  /// Writes a checkpoint, in parts, and lets go of the log before it, so that its
  /// segments are used again.
  checkpoint,
  put_sync,
  put_if_absent,
  update,
  take,
  compare_and_set,
  put_large,
  shared_put,
  shared_update,
  shared_batch,
  shared_erase,
  /// Lets so much time pass that full buffers are handed to the disk, and less than a round.
  breath,
  /// Copies the store to another disk.
  backup,
  /// Has the log fail under a write, and heals the store. For a client that is alone.
  heal,
};
inline constexpr std::size_t k_enumerated_steps = 10;
inline constexpr std::size_t k_steps = 23;

[[nodiscard]] std::string_view name_of(Step step) noexcept;

/// Options of a store on a simulated disk: small segments, little memory. The
/// rest is drawn.
[[nodiscard]] Options lab_options(test::Random& random);

/// A store in a simulation, and those who use it.
///
/// Thread safety: *confined* to whoever runs.
struct World {
  test::Scheduler& scheduler;
  Disk& disk;
  Disk& backup_disk;
  /// Both of them.
  base::FileSystem& files;
  History& history;
  const Options options;
  std::optional<Store> store{};
  /// What the backup's disk holds when one was made, and what may be in it.
  struct Backup {
    test::SimulatedDisk::Image image;
    History history;
  };
  std::vector<Backup> backups{};
  /// One at a time, as on a disk with locks.
  bool backup_busy = false;
  /// Counts values, spaces and batches: none comes twice in all lives.
  std::uint64_t serial = 0;
  /// Somebody makes or drops a space: the others wait, because the store's own
  /// lock for that is none that the scheduler sees.
  bool catalog_busy = false;

  void open();
  /// Opens the two spaces that clients write to. A space that is not there yet
  /// comes with a number above `above`.
  void make_spaces(Seq above = 0);
  /// Returns once all writes that have returned are on disk, as the history
  /// then knows. All later ones have numbers above what it returns.
  Seq sync();
};

/// One thread's side of a world: its own keys, and keys that all share.
///
/// Thread safety: *confined* to its thread.
class Client {
 public:
  Client(World& world, unsigned number) : world_(world), number_(number) {}

  void take_step(Step step);

 private:
  [[nodiscard]] Key own_key();
  [[nodiscard]] static Key shared_key(std::uint64_t i) { return {"s", "shared" + std::to_string(i)}; }
  [[nodiscard]] std::string fresh_value(std::size_t bytes);
  [[nodiscard]] Space space(const Key& key) const;
  [[nodiscard]] std::size_t begin(const Key& key, std::optional<std::string> value, bool alone = true,
                                  std::uint64_t batch = 0);
  [[nodiscard]] Seq number_now(const Key& key) const;
  void finish_unnumbered(std::size_t write, const Key& key, bool wrote);

  void put(std::size_t bytes, WriteOptions options);
  void erase();
  void take();
  void add();
  void put_if_absent();
  void update();
  void compare_and_set();
  void batch(bool shared);
  void shared_put();
  void shared_update();
  void shared_erase();
  void drop_space();
  void reopen();
  void checkpoint();
  void backup();
  void heal();

  World& world_;
  const unsigned number_;
};

}  // namespace actable::lab
