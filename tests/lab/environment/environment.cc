// The store in hostile surroundings: little memory, a stalled disk, a jumping
// clock, few descriptors, forks, signals, file systems that cannot be written,
// kernels that lack what it uses. Each scenario is a process of its own, and
// some run side by side.

#include "tests/lab/environment/process.h"
#include "tests/lab/environment/scenario.h"
#include "tests/lab/environment/shared.h"
#include "tests/support/temporary_directory.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

namespace actable::lab::environment {

void Scenario::skip(std::string_view lacks) {
  account_.skipped.fetch_add(1, std::memory_order_relaxed);
  say("skipped: no " + std::string(lacks));
  std::array<char, 512>& said = account_.skipped_for;
  const std::size_t used = std::strlen(said.data());
  std::snprintf(said.data() + used, said.size() - used, "%.*s;", static_cast<int>(lacks.size()), lacks.data());
}

void Scenario::say(const std::string& step) const {
  if (!trace_) return;
  std::printf("%.*s: %s\n", static_cast<int>(name_.size()), name_.data(), step.c_str());
  std::fflush(stdout);
}

namespace {

using std::chrono::steady_clock;

/// Long beyond any machine's bad day: only a hang comes to its end.
constexpr auto k_patience = std::chrono::seconds(180) * test::k_slowness;
constexpr std::size_t k_at_once = 2;

struct Kind {
  std::string_view name;
  void (*run)(Scenario&);
  /// It waits more than it works.
  bool waits = false;
};

// The longest first.
constexpr std::array k_kinds{
    Kind{"stalled sync", a_sync_stalls, true},
    Kind{"memory cap", memory_is_capped},
    Kind{"poor kernel", the_kernel_is_a_poor_one},
    Kind{"signals", signals_rain},
    Kind{"forks", the_host_forks},
    Kind{"clock", the_clock_jumps},
    Kind{"descriptors", descriptors_are_few},
    Kind{"not writable", files_cannot_be_written},
    Kind{"full disk", the_disk_is_full},
};

/// A scenario on its way.
///
/// Thread safety: *confined*.
class Running {
 public:
  Running(const Kind& kind, std::uint64_t seed, bool trace)
      : kind_(kind), process_([&, this] { return run(seed, trace); }, Process::Group::own) {}

  [[nodiscard]] bool waits() const noexcept { return kind_.waits; }
  [[nodiscard]] Account& account() const noexcept { return *account_; }

  /// True once it has ended well. Throws what it found, or how it ended.
  [[nodiscard]] bool has_ended() {
    const std::optional<int> status = process_.wait(std::chrono::milliseconds(1));
    if (!status) {
      if (steady_clock::now() - began_at_ > k_patience) throw found("hangs");
      return false;
    }
    if (*status < 0) throw found("was ended by signal " + std::to_string(-*status));
    if (*status != 0) throw found(account_->found.data());
    return true;
  }

 private:
  [[nodiscard]] Found found(const std::string& what) const {
    return Found("the scenario \"" + std::string(kind_.name) + "\": " + what);
  }

  int run(std::uint64_t seed, bool trace) {
    Scenario scenario(seed, directory_.path(), trace, kind_.name, *account_);
    try {
      kind_.run(scenario);
      return 0;
    } catch (const std::exception& error) {
      std::strncpy(account_->found.data(), error.what(), account_->found.size() - 1);
      return 1;
    }
  }

  const Kind& kind_;
  Shared<Account> account_;
  test::TemporaryDirectory directory_;
  steady_clock::time_point began_at_ = steady_clock::now();
  Process process_;
};

/// What all scenarios did.
///
/// Thread safety: *confined*.
class Tally {
 public:
  void add(const Account& account) {
    ++scenarios_;
    checks_ += account.checks;
    lives_ += account.lives;
    skipped_ += account.skipped;
    std::string_view rest = account.skipped_for.data();
    for (std::size_t end = 0; (end = rest.find(';')) != rest.npos; rest.remove_prefix(end + 1)) {
      lacks_.emplace(rest.substr(0, end));
    }
  }

  [[nodiscard]] std::string words() const {
    std::string text = with_commas(scenarios_) + " scenarios, " + with_commas(lives_) + " lives of stores, " +
                       with_commas(checks_) + " checks, " + with_commas(skipped_) + " parts skipped";
    const char* before = " for want of ";
    for (const std::string& lack : lacks_) {
      text += before + lack;
      before = ", ";
    }
    return text;
  }

 private:
  std::uint64_t scenarios_ = 0;
  std::uint64_t checks_ = 0;
  std::uint64_t lives_ = 0;
  std::uint64_t skipped_ = 0;
  std::set<std::string> lacks_;
};

/// All scenarios, with seeds made from one.
void run_round(std::uint64_t seed, bool trace, const Budget& budget, Tally& tally) {
  test::Random random(seed);
  const std::size_t at_once = trace ? 1 : k_at_once;
  std::vector<std::unique_ptr<Running>> running;
  const auto busy = [&] {
    return static_cast<std::size_t>(
        std::ranges::count_if(running, [&](const auto& one) { return trace || !one->waits(); }));
  };
  const auto reap = [&] {
    std::erase_if(running, [&](const auto& one) {
      if (!one->has_ended()) return false;
      tally.add(one->account());
      return true;
    });
  };
  for (const Kind& kind : k_kinds) {
    while (busy() >= at_once) reap();
    if (!budget.in_time()) break;
    running.push_back(std::make_unique<Running>(kind, random(), trace));
  }
  while (!running.empty()) reap();
}

std::string work(const LegOptions& options) {
  constexpr std::uint64_t k_rounds_nightly = 60;
  Tally tally;
  const Budget budget(options, 1, k_rounds_nightly);
  for (std::uint64_t round = 0; budget.goes_on(round); ++round) {
    run_round(options.seed + round, options.replay, budget, tally);
  }
  return tally.words();
}

}  // namespace
}  // namespace actable::lab::environment

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "environment", "Puts the store into hostile surroundings",
                               actable::lab::environment::work);
}
