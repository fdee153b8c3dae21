#pragma once

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// Stores whose logs fail, for the tests of healing.
namespace actable::test {

inline constexpr const char* k_simulated_directory = "/simulated";

/// A synchronous put, during which the log fails; `order` has the calls of the kind fail.
inline void put_and_fail(FaultyFileSystem& files, Store& store, Call kind, const std::function<void()>& order,
                         const std::string& value = "v") {
  Space space = must(store.space("s"));
  std::future<Result<Seq>> put;
  {
    const HeldCalls held(files, kind);
    order();
    put = std::async(std::launch::async, [&] { return space.put("in flight", value, k_sync); });
    until("the put waits for the disk", [&] { return must(space.get("in flight")) == value; });
  }
  expect(outcome(put.get()) == "indeterminate", "the put did not fail");
  expect(store.stats().read_only, "the log did not fail");
}

inline void put_and_fail_once(FaultyFileSystem& files, Store& store, const std::string& value = "v") {
  put_and_fail(
      files, store, Call::write, [&] { files.fail_nth(Call::write, 1); }, value);
}

inline void scribble(Store& store, Random& random, int writes) {
  Space space = must(store.space("s"));
  for (int i = 0; i < writes; ++i) {
    const std::string key = "key" + std::to_string(random.below(300));
    if (random.one_in(4)) {
      (void)must(space.erase(key));
    } else {
      (void)must(space.put(key, sealed(random(), 8 + random.skewed(300))));
    }
  }
}

/// A store on a simulated disk that fails when it is told to.
///
/// Thread safety: *confined*.
class Patient {
 public:
  explicit Patient(std::unique_ptr<SimulatedDisk> disk = std::make_unique<SimulatedDisk>()) : disk_(std::move(disk)) {
    options_.directory = k_simulated_directory;
    options_.shards = 2;
    options_.segment_bytes = std::size_t{1} << 20;
    (void)reopen();
  }

  Store& reopen() {
    if (store_) must(store_->close());
    store_.reset();
    return store_.emplace(must(store::Access::open(options_, files_)));
  }
  Store& store() { return *store_; }
  Content content() { return test::content(must(store_->space("s"))); }
  SimulatedDisk& disk() { return *disk_; }
  FaultyFileSystem& files() { return files_; }
  [[nodiscard]] std::size_t count(std::string_view prefix) const {
    const auto names = disk_->names();
    return static_cast<std::size_t>(
        std::ranges::count_if(names, [prefix](const std::string& name) { return name.starts_with(prefix); }));
  }

 private:
  std::unique_ptr<SimulatedDisk> disk_;
  FaultyFileSystem files_{*disk_};
  Options options_;
  std::optional<Store> store_;
};

}  // namespace actable::test
