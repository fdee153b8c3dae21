// A file system in memory that others fill, or nearly, right before the store
// writes on: it comes to the end of its room somewhere in a segment. Once there
// is room, everything acknowledged is there.

#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/sandbox.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;

bool speaks_of_room(const Error& error) {
  const bool typed =
      error.code == ErrorCode::read_only || error.code == ErrorCode::indeterminate || error.code == ErrorCode::io_error;
  return typed && (error.message.find("no space left") != std::string::npos ||
                   error.message.find("Free some space") != std::string::npos);
}

/// A file that takes all room but so many bytes.
void leave_room(const std::filesystem::path& file, std::uint64_t left) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  require(descriptor >= 0, "no file on the small file system");
  const std::string piece(4096, 'x');
  const auto free_bytes = [&] { return std::filesystem::space(file.parent_path()).available; };
  while (free_bytes() > left && ::write(descriptor, piece.data(), piece.size()) > 0) {
  }
  ::close(descriptor);
}

/// Opening while there is no room: refused with what to do, or done.
void open_without_room(Scenario& scenario, const Options& options) {
  Process process([&] {
    const auto store = Store::open(options);
    if (store) return 0;
    return store.error().code == ErrorCode::io_error && speaks_of_room(store.error()) ? 0 : 1;
  });
  scenario.check(process.wait(60s) == 0, "opening on a full disk failed otherwise than for want of room");
}

/// Of the store that is open: what it holds is durable then, as the next life finds.
void heal_with_room(Store& store, const std::filesystem::path& ballast) {
  std::filesystem::remove(ballast);
  test::must(store.heal());
  test::must(store.sync());
  test::expect(store.stats().heals == 1, "a store whose disk was full was not healed");
}

}  // namespace

void the_disk_is_full(Scenario& scenario) {
  const auto mounted = scenario.fresh_directory();
  std::filesystem::create_directory(mounted);
  if (!enter_own_mounts()) return scenario.skip("mount namespaces");
  if (!mount_memory(mounted, 64 * k_mib)) return scenario.skip("file systems of one's own");

  const auto ballast = mounted / "ballast";
  Lives lives(scenario, mounted / "store");
  constexpr unsigned k_turns = 4;
  for (unsigned turn = 0; turn < k_turns; ++turn) {
    LifePlan plan = random_life(scenario.random);
    plan.options.segment_bytes = k_mib;
    plan.work.threads = test::killing::k_threads;
    plan.work.writes = test::killing::k_entries_max;
    plan.killed_after.reset();
    plan.work.expects = speaks_of_room;
    // Less than is written, beside what is left of a segment.
    const std::uint64_t left = turn % 2 == 0 ? 0 : scenario.random.below(k_mib / 4);
    scenario.say("others fill the disk but for " + std::to_string(left) + " bytes");
    plan.opened = [&ballast, left](Store&) { leave_room(ballast, left); };
    Options again = plan.options;
    const bool heals = turn >= k_turns / 2;
    if (heals) plan.work.afterwards = [&ballast](Store& store) { heal_with_room(store, ballast); };
    lives.live(std::move(plan));
    scenario.check(lives.errors() > 0, "the disk did not run full");
    if (heals) continue;
    again.directory = lives.directory();
    open_without_room(scenario, again);
    open_without_room(scenario, again);
    lives.opened_elsewhere();
    std::filesystem::remove(ballast);
    scenario.say("room again");
    lives.live(random_life(scenario.random));
  }
  lives.end();

  // A store that does not even begin.
  leave_room(ballast, 0);
  Options options = test::small_store(mounted / "new");
  open_without_room(scenario, options);
  std::filesystem::remove(ballast);
  Process begins([&] { return Store::open(options) ? 0 : 1; });
  scenario.check(begins.wait(60s) == 0, "a store that a full disk kept from beginning does not begin later");
}

}  // namespace actable::lab::environment
