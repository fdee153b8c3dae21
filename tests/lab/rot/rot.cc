// Bit rot: does every small damage to a small log to see that opening it
// refuses, saying where and what to do, or gives back just what was written.

#include "tests/lab/last_words.h"
#include "tests/lab/leg.h"
#include "tests/lab/rot/judge.h"
#include "tests/lab/rot/small_checkpoint.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace actable::lab::rot {
namespace {

/// What was done, and what came of it.
///
/// Thread safety: *confined*.
class Tally {
 public:
  void count(Damage::Kind kind, Verdict verdict) {
    ++done_[static_cast<std::size_t>(kind)];
    ++came_[static_cast<std::size_t>(verdict)];
  }

  /// Kept, so that one run tells of all that there is.
  void found(const std::string& state, const std::string& damage, const std::string& what) {
    if (++faults_ <= k_shown_max) faults_text_ += "\n  " + state + ", " + damage + ": " + what;
  }

  void add(const CheckpointVerdicts& more) {
    of_checkpoints_.flips += more.flips;
    of_checkpoints_.truncations += more.truncations;
    of_checkpoints_.moves += more.moves;
    of_checkpoints_.refused += more.refused;
    of_checkpoints_.harmless += more.harmless;
  }

  /// Throws what was found.
  void require_none() const {
    // What reads as a shorter log, as documented, is a small part of all.
    constexpr std::uint64_t k_one_in = 10;
    require((came(Verdict::limit) + came(Verdict::shortened)) * k_one_in <= came(Verdict::refused),
            "more than a few damages read as a shorter log: " + words());
    if (faults_ == 0) return;
    throw Found(with_commas(faults_) + " damages that should have been refused or harmless:" + faults_text_ +
                (faults_ > k_shown_max ? "\n  and others" : "") + "\nof " + words());
  }

  [[nodiscard]] std::string words() const {
    return number(Damage::Kind::flip) + " bits flipped, " + number(Damage::Kind::truncation) + " truncations, " +
           number(Damage::Kind::block) + " blocks and " + number(Damage::Kind::file) +
           " files moved: " + number(Verdict::refused) + " refused, " + number(Verdict::harmless) + " harmless, " +
           number(Verdict::torn) + " without the unsynced tail, " + number(Verdict::limit) +
           " at the documented limit, " + number(Verdict::shortened) +
           " cut short, nothing else lost; of checkpoints " + with_commas(of_checkpoints_.flips) + " bits, " +
           with_commas(of_checkpoints_.truncations) + " truncations, " + with_commas(of_checkpoints_.moves) +
           " files: " + with_commas(of_checkpoints_.refused) + " refused, " + with_commas(of_checkpoints_.harmless) +
           " harmless";
  }

 private:
  static constexpr std::uint64_t k_shown_max = 24;

  [[nodiscard]] std::string number(Damage::Kind kind) const {
    return with_commas(done_[static_cast<std::size_t>(kind)]);
  }
  [[nodiscard]] std::uint64_t came(Verdict verdict) const { return came_[static_cast<std::size_t>(verdict)]; }
  [[nodiscard]] std::string number(Verdict verdict) const { return with_commas(came(verdict)); }

  std::array<std::uint64_t, 4> done_{};
  std::array<std::uint64_t, 5> came_{};
  CheckpointVerdicts of_checkpoints_;
  std::uint64_t faults_ = 0;
  std::string faults_text_;
};

// Replay alone judges every damage. Opening a store takes fifty times as long
// and reads the log in the same way, so it comes with each damage but flipped
// bits, of which there are many; and writing to it with some of those.
constexpr std::uint64_t k_bits_per_store = 64;
constexpr std::uint64_t k_stores_per_use = 8;

constexpr std::array k_verdict_names{"refused", "harmless", "without the unsynced tail", "at the documented limit",
                                     "cut short"};

/// All damages to a log in one state.
void damage_log(SmallLog& log, SmallLog& other, Bits bits_of_the_rest, test::Random& random, const Budget& budget,
                bool print, LastWords& last_words, Tally& tally) {
  const Look look = [&](const Damage& damage) {
    if (!budget.in_time()) return;
    try {
      const bool store_too = damage.kind != Damage::Kind::flip || random.one_in(k_bits_per_store);
      if (store_too) last_words.now(log.state + ", " + damage.what());
      const Verdict verdict = judge(log, damage);
      if (store_too) judge_store(log, damage, verdict, random.one_in(k_stores_per_use));
      tally.count(damage.kind, verdict);
      if (print) {
        std::printf("%s, %s: %s\n", log.state.c_str(), damage.what().c_str(),
                    k_verdict_names[static_cast<std::size_t>(verdict)]);
      }
    } catch (const std::exception& error) {
      tally.found(log.state, damage.what(), error.what());
    }
  };
  flip_bits(log, bits_of_the_rest, random, look);
  truncate_files(log, look);
  move_blocks(log, look);
  move_files(log, other, look);
}

std::string work(const LegOptions& options) {
  Tally tally;
  LastWords last_words("rot");
  const Budget budget(options, 1, 100);
  for (std::uint64_t pass = 0; budget.goes_on(pass); ++pass) {
    last_words.now("a small checkpoint");
    tally.add(damage_checkpoint(options.seed + pass, budget, [&](const std::string& damage, const std::string& what) {
      tally.found("a checkpoint", damage, what);
    }));
    test::Random random(options.seed + pass);
    std::vector<SmallLog> logs = make_small_logs(options.seed + pass);
    std::vector<SmallLog> others = make_small_logs(~(options.seed + pass));
    // Bytes that no reader uses are most of a log: one log's, each pass another's,
    // the first that of the log which was killed while idle, all of it synced.
    const std::size_t flipped_whole = pass % logs.size();
    for (std::size_t i = 0; i < logs.size(); ++i) {
      damage_log(logs[i], others.front(), i == flipped_whole ? Bits::all : Bits::one, random, budget, options.replay,
                 last_words, tally);
    }
    tally.require_none();
  }
  return tally.words();
}

}  // namespace
}  // namespace actable::lab::rot

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "rot", "Damages a small log in every small way and opens it",
                               actable::lab::rot::work);
}
