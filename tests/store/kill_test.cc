// Kills a writing process again and again, at any moment, and checks what the
// next opening finds: see kill_history.h for the rules.

#include "tests/store/kill_history.h"
#include "tests/store/kill_journal.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>

using namespace actable;
using namespace actable::test;
using namespace actable::test::killing;
using namespace std::chrono_literals;

namespace {

/// Long beyond any machine's bad day: only a hang comes to its end.
constexpr auto k_patience = 60s * k_slowness;

std::string joined(const std::vector<Problem>& problems) {
  std::string all;
  for (const Problem& problem : problems) all += problem.what + "\n";
  return all;
}

/// The lives of one directory, and the processes that live them.
///
/// Thread safety: *confined* to one thread.
class Series {
 public:
  explicit Series(std::uint64_t start) : random_(start) {}

  /// Starts a writer and kills it at a random moment of a random phase.
  void live_and_die() {
    ++kills_;
    INFO("life " << kills_);
    auto next = std::make_unique<Journal>(directory_ / ("journal" + std::to_string(kills_)), true);
    Child writer(program_beside("test_store_kill_writer"),
                 {directory_ / "store", directory_ / ("journal" + std::to_string(kills_)), std::to_string(kills_),
                  std::to_string(random_())});
    kill_in_a_random_phase(writer, next->life());
    INFO("the writer said: " << next->life().failure.data());
    REQUIRE(next->life().phase != Phase::failed);
    const bool reported = next->life().phase >= Phase::dumped;
    if (!reported) {
      // It wrote nothing, so what the one before it did is still to be checked.
      ++unreported_;
      return;
    }
    const Life& life = next->life();
    check({.found = life.found, .cut = life.cut, .cut_max = life.cut, .last_seq = life.last_seq});
    last_ = std::move(next);
  }

  /// Opens the store here, checks it and closes it.
  void reopen(LogIo io) {
    Store store = must(Store::open(small_store(directory_ / "store", io)));
    const RecoveryStats recovery = store.stats().recovery;
    check({.found = dump(store), .cut = recovery.cut, .cut_max = recovery.cut, .last_seq = store.last_seq()});
    last_ = nullptr;
    const auto spaces = store.spaces();
    for (const std::string& name : history_.dropped()) CHECK(std::ranges::count(spaces, name) == 0);
    must(store.close());
  }

  [[nodiscard]] const History& history() const { return history_; }
  [[nodiscard]] unsigned unreported_in_all() const { return unreported_in_all_; }
  Random& random() { return random_; }

 private:
  void kill_in_a_random_phase(Child& writer, const Life& life) {
    const auto reached = [&](Phase phase) {
      return [&writer, &life, phase] { return life.phase.load() >= phase || writer.ended(); };
    };
    // The moment of the kill is what is random here; nothing is waited for.
    const auto spare = [&](std::uint64_t most_us) {
      (void)eventually(std::chrono::microseconds(random_.below(most_us)), [&] { return writer.ended(); });
    };
    const std::uint64_t kind = random_.below(10);
    if (kind < 2) {
      REQUIRE(eventually(k_patience, reached(Phase::opening)));
      spare(3'000);
    } else if (kind < 4) {
      REQUIRE(eventually(k_patience, reached(Phase::open)));
      spare(500);
    } else {
      REQUIRE(eventually(k_patience, reached(Phase::dumped)));
      spare(kind < 7 ? 5'000 : 150'000);
    }
    const bool killed = writer.kill();
    CHECK((killed || life.phase == Phase::failed));
  }

  void check(Recovered recovered) {
    if (unreported_ != 0) recovered.cut.reset();
    unreported_in_all_ += unreported_;
    unreported_ = 0;
    const auto problems = last_ ? history_.verify(last_->life(), recovered) : history_.verify_unchanged(recovered);
    INFO(joined(problems));
    REQUIRE(problems.empty());
  }

  TemporaryDirectory directory_;
  Random random_;
  History history_;
  std::unique_ptr<Journal> last_;  // of the last life that wrote
  unsigned kills_ = 0;
  unsigned unreported_ = 0;
  unsigned unreported_in_all_ = 0;
};

}  // namespace

TEST_CASE("a store killed at any moment comes back as an exact prefix, again and again", "[kill]") {
  Series series(seed());
  const std::uint64_t kills = k_thread_sanitizer ? 20 : k_address_sanitizer ? 50 : 100;
  const std::vector<LogIo> ios = every_log_io();
  for (std::uint64_t i = 0; i < kills; ++i) {
    series.live_and_die();
    // At times several die in a row before the parent looks, so that recovery
    // meets what a recovery left.
    if (series.random().one_in(2)) series.reopen(ios[series.random().below(ios.size())]);
  }
  for (const LogIo io : ios) series.reopen(io);
  CHECK(series.history().kept() > 0);
  std::cout << "kills " << kills << ", in recovery " << series.unreported_in_all() << ", writes kept "
            << series.history().kept() << ", lost " << series.history().lost() << std::endl;
}
