// File systems and directories that cannot be written, from the start or from
// the middle of writing on. Errors say what to do, and nothing changes.

#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/sandbox.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"
#include "tests/support/forked.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto k_patience = 60s * test::k_slowness;

bool speaks_of_read_only(const Error& error) {
  return error.message.find("the file system is read-only: make it writable") != std::string::npos;
}
bool speaks_of_permissions(const Error& error) {
  return error.message.find("check the owner and the permissions") != std::string::npos;
}

/// Names, sizes and bytes of all files that this user may read.
std::map<std::string, std::string> files_in(const fs::path& directory) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    // It names whoever had the directory last, and no more.
    if (entry.path().filename() == "LOCK") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    found[entry.path().filename()] = {std::istreambuf_iterator<char>(in), {}};
  }
  return found;
}

void make_store(const Options& options) {
  Store store = test::must(Store::open(options));
  test::must(test::must(store.space("s")).put("a", "1"));
  test::must(store.close());
}

void expect_store(const Options& options) {
  Store store = test::must(Store::open(options));
  require(test::must(test::must(store.space("s")).get("a")) == "1", "the value is gone");
}

/// Opening has to be refused, and to leave the files alone.
void refused(Scenario& scenario, const Options& options, bool (*speaks)(const Error&), const std::string& what) {
  const auto store = Store::open(options);
  scenario.check(!store, "opened though " + what);
  const ErrorCode code = store.error().code;
  scenario.check(code == ErrorCode::io_error || code == ErrorCode::invalid_argument,
                 what + ", and the error is " + test::describe(store.error()));
  scenario.check(speaks(store.error()), what + ", and the message does not say what to do: " + store.error().message);
}

/// A process of an ordinary user's, for whom permissions count.
int be_without_permission(Scenario& scenario, const fs::path& base) {
  if (::geteuid() == 0 && ::chown(base.c_str(), 65534, 65534) != 0) return 1;
  if (!test::drop_root()) return 1;
  Options options = test::small_store(base / "store");
  make_store(options);
  const auto before = files_in(options.directory);
  const auto barred = [&](const fs::path& path, fs::perms left, const std::string& what) {
    const fs::perms had = fs::status(path).permissions();
    fs::permissions(path, left);
    refused(scenario, options, speaks_of_permissions, what);
    fs::permissions(path, had);
    scenario.check(files_in(base / "store") == before, "files changed though " + what);
  };
  barred(base / "store", fs::perms::owner_read | fs::perms::owner_exec, "the directory may not be written");
  barred(base / "store", fs::perms::owner_read | fs::perms::owner_write, "the directory may not be entered");
  barred(base / "store", fs::perms::owner_write | fs::perms::owner_exec, "the directory may not be read");
  barred(base / "store", fs::perms::none, "nothing may be done in the directory");
  for (const auto& [name, bytes] : before) {
    barred(base / "store" / name, fs::perms::none, name + " may not be read");
    if (name.starts_with("log-")) barred(base / "store" / name, fs::perms::owner_read, name + " may not be written");
  }
  barred(base / "store" / "LOCK", fs::perms::owner_read, "the lock may not be written");
  options.directory = base / "new";
  barred(base, fs::perms::owner_read | fs::perms::owner_exec, "the parent directory may not be written");
  scenario.check(!fs::exists(base / "new"), "a directory was made where it may not be");
  options.directory = base / "store";
  expect_store(options);
  return 0;
}

/// A mount that cannot be written, as a process finds it. False where none can be
/// made.
bool under_a_read_only_mount(Scenario& scenario, const fs::path& base) {
  Options options = test::small_store(base / "store");
  Process maker([&] {
    make_store(options);
    return 0;
  });
  require(maker.wait(k_patience) == 0, "no store to try");
  const auto before = files_in(options.directory);
  if (!cover_read_only(base)) return false;
  Process opener([&] {
    refused(scenario, options, speaks_of_read_only, "the file system is read-only");
    Options fresh = options;
    fresh.directory = base / "new";
    refused(scenario, fresh, speaks_of_read_only, "the file system of a new store is read-only");
    return 0;
  });
  scenario.check(opener.wait(k_patience) == 0, "opening on a read-only file system");
  require(uncover(base), "the read-only mount stays");
  scenario.check(files_in(options.directory) == before, "files changed though the file system was read-only");
  Process reader([&] {
    expect_store(options);
    return 0;
  });
  scenario.check(reader.wait(k_patience) == 0, "a store that was read-only for a time does not open");
  return true;
}

/// A life that has much to write and meets a file system that turned read-only.
LifePlan long_life(Scenario& scenario) {
  LifePlan plan = random_life(scenario.random);
  plan.work.threads = test::killing::k_threads;
  plan.work.writes = test::killing::k_entries_max;
  plan.killed_after.reset();
  plan.work.expects = [](const Error& error) {
    // The last of a checkpoint, which needs files of its own.
    const bool typed = error.code == ErrorCode::read_only || error.code == ErrorCode::indeterminate ||
                       error.code == ErrorCode::io_error;
    return typed && speaks_of_read_only(error);
  };
  return plan;
}

/// Before anything turns hostile: a life has its spaces, or it cannot begin. The log
/// may fail without a write of the life's, since it fills what lies ahead with zeros.
void make_spaces(Store& store) {
  (void)test::killing::spaces_in(store);
  test::must(store.sync());
}

/// New files cannot be made any more; the one in use can be written to its end.
void covered_while_open(Scenario& scenario) {
  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_lives = 2;
  for (unsigned i = 0; i < k_lives; ++i) {
    LifePlan plan = long_life(scenario);
    plan.opened = [&lives](Store& store) {
      make_spaces(store);
      require(cover_read_only(lives.directory()), "no second read-only mount");
    };
    lives.live(std::move(plan));
    scenario.check(lives.errors() > 0, "a file system that turned read-only was not noticed");
    require(uncover(lives.directory()), "the read-only mount stays");
  }
  lives.end();
}

/// The kernel answers writes as it does after an emergency, from an offset on
/// that the log comes to while it writes.
void writes_turn_read_only(Scenario& scenario) {
  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_lives = 3;
  const auto turn = [](std::uint32_t offset_bit) {
    return deny({{.call = SYS_pwrite64, .error = EROFS, .argument = 3, .bits = offset_bit},
                 {.call = SYS_fallocate, .error = EROFS},
                 {.call = SYS_openat, .error = EROFS, .argument = 2, .bits = O_CREAT}});
  };
  if (Process([&] { return turn(1) ? 0 : 1; }).wait(k_patience) != 0) return scenario.skip("seccomp filters");
  for (unsigned i = 0; i < k_lives; ++i) {
    LifePlan plan = long_life(scenario);
    plan.options.log_io = LogIo::pwrite;
    // From a block to half of a segment.
    const std::uint32_t bit = std::uint32_t{1} << (12 + scenario.random.below(8));
    plan.opened = [turn, bit](Store& store) {
      make_spaces(store);
      require(turn(bit), "what went once went not again");
    };
    lives.live(std::move(plan));
    scenario.check(lives.errors() > 0, "writes that fail were not noticed");
  }
  lives.end();
}

}  // namespace

void files_cannot_be_written(Scenario& scenario) {
  const auto mine = scenario.fresh_directory();
  fs::create_directory(mine);
  const fs::perms had = fs::status(scenario.directory()).permissions();
  fs::permissions(scenario.directory(), had | fs::perms::others_exec);
  Process ordinary([&] { return be_without_permission(scenario, mine); });
  const auto status = ordinary.wait(k_patience);
  if (status == 1) {
    scenario.skip("ordinary users");
  } else {
    scenario.check(status == 0, "without permission");
  }
  writes_turn_read_only(scenario);
  if (!enter_own_mounts()) return scenario.skip("mount namespaces");
  const auto base = scenario.fresh_directory();
  fs::create_directory(base);
  if (!under_a_read_only_mount(scenario, base)) return scenario.skip("read-only mounts");
  covered_while_open(scenario);
}

}  // namespace actable::lab::environment
