#pragma once

#include "tests/lab/crash/client.h"
#include "tests/lab/crash/disk.h"
#include "tests/lab/crash/history.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace actable::lab {

/// What clients do, each its steps in their order.
struct Program {
  std::vector<std::vector<Step>> clients;
  /// At a step the scheduler lets another thread go on once in so many times.
  std::uint64_t switch_one_in = 4;
  /// Of the disk's changes one in so many is looked at as the moment of a crash.
  std::uint64_t crash_one_in = 1;
};

[[nodiscard]] std::string describe(const Program& program);

/// What came of the cases so far.
struct Tally {
  std::uint64_t programs = 0;
  std::uint64_t crashes = 0;
  std::uint64_t crashes_in_recovery = 0;
  /// At most.
  std::uint64_t crashes_in_a_row = 0;
  std::uint64_t steps = 0;
  /// Segments that were begun in files that the log had let go of.
  std::uint64_t segments_recycled = 0;
  /// Each opened, judged and gone on with as after a crash.
  std::uint64_t backups = 0;
};

/// The lives of one directory. In each a program runs in a simulation, and at
/// the disk's changes the disk is taken as a crash would leave it. From each
/// such image a store is recovered and judged, crashes again in its recovery,
/// and is recovered again. The next life begins with one of the images.
///
/// Thread safety: *confined* to one thread.
class Case {
 public:
  Case(std::uint64_t seed, Tally& tally, bool print)
      : seed_(seed), random_(seed ^ 0x5bd1e995), seeds_(seed), tally_(tally), print_(print) {}

  /// Throws `Found`, or ends the program (see Scheduler::run), and says what is
  /// wrong and what led there.
  void live(const Program& program);

  /// Of all that happened.
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  using Image = test::SimulatedDisk::Image;
  struct Crash {
    Image image;
    History history;
    std::string where;
  };
  /// A crash while a crash was recovered from, or right after.
  struct NextCrash {
    Image image;
    std::string where;
    /// The number of the write that followed the recovery; 0 when it had not returned.
    Seq written = 0;
  };
  /// What a recovery found, and what the next may find.
  struct Recovered {
    Content found;
    Content with_write;
    /// The highest number that any client had been told before.
    Seq told = 0;
    /// Crashes so far.
    unsigned crashes = 1;
  };

  void run_clients(const Program& program, World& world);
  void collect(const World& world, const test::DiskChange& change);
  [[nodiscard]] Content recover(const Crash& crash);
  void crash_somewhere(Disk& disk, const Seq& written, std::optional<NextCrash>& crash);
  [[nodiscard]] static Seq write_after(Store& store, Recovered& recovered);
  void recover_again(const NextCrash& crash, const Recovered& recovered);
  void count_recycled(const test::DiskChange& change);
  void mix(std::uint64_t hash) noexcept { hash_ = (hash_ ^ hash) * 0x9e3779b97f4a7c15; }

  const std::uint64_t seed_;
  test::Random random_;
  // Gives each simulation a seed of its own.
  test::Random seeds_;
  Tally& tally_;
  const bool print_;
  std::uint64_t hash_ = 0;
  std::uint64_t serial_ = 0;
  std::vector<Crash> crashes_;
  std::uint64_t last_image_ = 0;
  std::uint64_t crash_one_in_ = 1;
  // Files of the log that have had a header written in this life.
  std::set<std::string> segments_;

  std::string context_;

  // What the next life begins with.
  std::optional<Crash> beginning_;
  Content content_;
  Seq told_ = 0;
  // What is on the backups' disk: of an older life, or of one that was not gone on with.
  Image backup_;
};

}  // namespace actable::lab
