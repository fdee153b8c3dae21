// The process that the leg `kills` starts and kills: lives one planned life
// (tests/store/kill_client.h), and ends itself at a fail point when it is told one.
//
//   lab_kills_victim DIRECTORY JOURNAL LIFE SEED RING(0|1) [POINT PASSAGE]

#include "base/park.h"
#include "base/simulation.h"
#include "store/access.h"
#include "tests/lab/kills/plan.h"
#include "tests/store/kill_client.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/results.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string_view>

namespace actable::lab::kills {
namespace {

/// Lets everything be as it is, but ends the process at one passage of one place.
///
/// Thread safety: *synchronized*.
class Executioner final : public base::Simulation {
 public:
  Executioner(const Plan& plan, test::killing::Life& life) : plan_(plan), life_(life) {}

  [[nodiscard]] base::TimePoint now() noexcept override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] std::uint64_t random_word() override {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }
  void reach(std::string_view step) override { pass(step); }
  void await(std::string_view /*step*/, const std::function<bool()>& /*ready*/,
             std::optional<base::TimePoint> /*until*/) override {}

  void pass(std::string_view place) override {
    if (place != plan_.point->name) return;
    // relaxed: one thread gets the number, whichever
    if (passages_.fetch_add(1, std::memory_order_relaxed) + 1 != plan_.passage) return;
    life_.at_fail_point = true;
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }

 private:
  const Plan& plan_;
  test::killing::Life& life_;
  std::atomic<unsigned> passages_{0};
};

/// Has the store's log fail and heals it, some times.
void fail_and_heal(Store& store, test::FaultyFileSystem& files, unsigned times) {
  Space space = test::must(store.space("healed"));
  for (unsigned i = 0; i < times; ++i) {
    files.fail_from(test::Call::write, 1);
    const auto put = space.put("in flight", std::to_string(i), {.durability = Durability::sync});
    test::expect(!put, "a put succeeded on a disk that fails");
    files.heal();
    test::expect(test::must(store.heal()).began_anew, "nothing was healed");
    test::must(space.put("works", std::to_string(i), {.durability = Durability::sync}));
  }
}

}  // namespace
}  // namespace actable::lab::kills

int main(int argc, char* argv[]) {
  using namespace actable;
  using namespace actable::lab::kills;
  if (argc != 6 && argc != 8) return 2;
  const bool ends_itself = argc == 8;
  const Plan plan = plan_of(std::strtoull(argv[4], nullptr, 0), std::string_view(argv[5]) == "1",
                            ends_itself ? fail_point(argv[6]) : nullptr,
                            ends_itself ? static_cast<unsigned>(std::strtoul(argv[7], nullptr, 0)) : 0);
  test::killing::Journal journal(argv[2], false);
  Executioner executioner(plan, journal.life());
  if (ends_itself) base::park::simulate(&executioner);
  Options options = plan.options;
  options.directory = argv[1];
  test::FaultyFileSystem faulty;
  base::FileSystem& files = plan.heals == 0 ? base::posix_file_system() : faulty;
  test::killing::Work work = plan.work;
  if (plan.heals != 0) work.afterwards = [&](Store& store) { fail_and_heal(store, faulty, plan.heals); };
  test::killing::live(journal.life(), std::strtoull(argv[3], nullptr, 0), work,
                      [&] { return store::Access::open_unchecked(options, files); });
  return 1;
}
