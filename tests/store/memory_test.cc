#include "store/access.h"
#include "store/checks.h"
#include "tests/support/allocations.h"
#include "tests/support/catch.h"
#include "tests/support/failing_memory.h"
#include "tests/support/results.h"
#include "tests/support/simulated_disk.h"

#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// Memory that runs out, at each allocation in turn. The laboratory's leg
// `failures` does the same to all that a store does; here is what it found.
namespace actable {
namespace {

namespace allocations = test::allocations;
using test::must;
using test::SimulatedDisk;

Options options_for_test() {
  Options options;
  options.directory = "/simulated";
  options.shards = 1;
  return options;
}

Result<Store> open(SimulatedDisk& disk) {
  return store::guarded("opening the store", [&] { return store::Access::open(options_for_test(), disk); });
}

/// For how long memory runs out.
enum class Shortage { once, for_good };

/// Calls `f` with its `nth` allocation failing, and perhaps all that follow. True when one failed.
template <class F>
bool without_memory(std::uint64_t nth, F&& f, Shortage shortage = Shortage::for_good) {
  allocations::reset();
  allocations::fail(nth, shortage == Shortage::for_good);
  {
    const allocations::Counted counted;
    f();
  }
  allocations::heal();
  return allocations::failed() != 0;
}

TEST_CASE("opening a store without memory is refused as such, wherever memory runs out") {
  const auto shortage = GENERATE(Shortage::once, Shortage::for_good);
  SimulatedDisk disk;
  {
    Store store = must(open(disk));
    must(must(store.space("a space with a name that is not short")).put("key", "value"));
    must(store.close());
  }
  for (std::uint64_t nth = 1;; ++nth) {
    std::optional<Result<Store>> opened;
    const auto open_it = [&] { opened.emplace(open(disk)); };
    if (!without_memory(nth, open_it, shortage)) break;
    INFO("allocation " << nth);
    if (!opened->has_value()) REQUIRE(opened->error().code == ErrorCode::no_memory);
  }
  Store store = must(open(disk));
  CHECK(store.spaces() == std::vector<std::string>{"a space with a name that is not short"});
}

TEST_CASE("a refusal keeps its code without memory for its words") {
  SimulatedDisk disk;
  Store store = must(open(disk));
  Space space = must(store.space("a space with a name that is not short"));
  REQUIRE(must(store.drop_space(space.name())));
  std::optional<ErrorCode> code;
  without_memory(1, [&] { code = space.put("key", "value").error().code; });
  CHECK(code == ErrorCode::closed);
  without_memory(1, [&] { code = space.put("", "value").error().code; });
  CHECK(code == ErrorCode::invalid_argument);
}

TEST_CASE("a scan without memory is refused, and goes on when there is some") {
  SimulatedDisk disk;
  Store store = must(open(disk));
  Space space = must(store.space("s"));
  must(space.put("a key that is not short, but rather long", "a value that is not short"));
  Cursor cursor = space.scan();
  std::optional<Result<bool>> next;
  REQUIRE(without_memory(1, [&] { next.emplace(cursor.next()); }));
  REQUIRE(!next->has_value());
  CHECK(next->error().code == ErrorCode::no_memory);
  CHECK(must(cursor.next()));
  CHECK(cursor.entry().value == "a value that is not short");
}

TEST_CASE("a space that there was no memory for is not there, now or later") {
  const bool new_thread = GENERATE(false, true);
  const std::string name = "a space with a name that is not short";
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("allocation " << nth);
    SimulatedDisk disk;
    bool made = false;
    bool failed = false;
    {
      Store store = must(open(disk));
      must(store.space("other"));
      // Also of a thread that the store does not know yet.
      const auto make = [&] { failed = without_memory(nth, [&] { made = store.space(name).has_value(); }); };
      if (new_thread) {
        std::thread(make).join();
      } else {
        make();
      }
      must(store.close());
    }
    Store store = must(open(disk));
    REQUIRE(store.spaces().size() == (made ? 2 : 1));
    if (!failed) break;
  }
}

TEST_CASE("a space that there was no memory to drop stays, now and later") {
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("allocation " << nth);
    SimulatedDisk disk;
    bool dropped = false;
    bool failed = false;
    {
      Store store = must(open(disk));
      must(store.space("s"));
      failed = without_memory(nth, [&] { dropped = store.drop_space("s").has_value(); });
      CHECK(store.spaces().size() == (dropped ? 0 : 1));
      must(store.close());
    }
    Store store = must(open(disk));
    REQUIRE(store.spaces().size() == (dropped ? 0 : 1));
    if (!failed) break;
  }
}

/// A queue whose memory runs out in its n-th call.
///
/// Thread safety: *confined* to the log's thread, but for `wake`.
class PoorQueue final : public base::WriteQueue {
 public:
  PoorQueue(std::unique_ptr<base::WriteQueue> below, std::uint64_t nth) : below_(std::move(below)), left_(nth) {}

  void add_memory(std::span<std::byte>) override {}
  void submit_write(base::File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                    std::uint64_t tag) override {
    take();
    below_->submit_write(file, offset, bytes, tag);
  }
  void submit_sync(base::File& file, std::uint64_t tag) override {
    take();
    below_->submit_sync(file, tag);
  }
  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<base::Completion>& done) override {
    take();
    below_->wait(timeout, done);
  }
  void wake() noexcept override { below_->wake(); }
  [[nodiscard]] std::string name() const override { return below_->name(); }
  [[nodiscard]] bool memory_registered() const noexcept override { return false; }

 private:
  void take() {
    if (left_ != 0 && --left_ == 0) throw std::bad_alloc();
  }

  std::unique_ptr<base::WriteQueue> below_;
  std::uint64_t left_;
};

/// Thread safety: as SimulatedDisk.
class DiskWithPoorQueue final : public SimulatedDisk {
 public:
  explicit DiskWithPoorQueue(std::uint64_t nth) : nth_(nth) {}
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override {
    auto below = SimulatedDisk::make_queue(kind);
    if (!below) return below;
    return std::make_unique<PoorQueue>(std::move(*below), nth_);
  }

 private:
  const std::uint64_t nth_;
};

TEST_CASE("a checkpoint that is cancelled where memory runs out has ended, and another can be written") {
  SimulatedDisk disk;
  Store store = must(open(disk));
  Space space = must(store.space("s"));
  must(space.put("k", "v"));
  store::StoreCore& core = store::Access::core(store);
  std::uint64_t failures = 0;
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    INFO("request " << nth);
    must(store.sync());
    const std::uint64_t pass = core.checkpointer().ask();
    (void)must(core.step_checkpoint());
    store.cancel_checkpoint();
    std::optional<Result<store::Checkpointed>> came;
    {
      const test::FailingMemory failing(nth);
      came.emplace(core.step_checkpoint());
      failed = failing.failed();
    }
    REQUIRE(test::outcome(*came) == "closed");
    REQUIRE(core.checkpointer().ended() == pass);
    failures += failed ? 1 : 0;
  }
  CHECK(failures >= 2);
  must(store.checkpoint());
}

TEST_CASE("a log's thread without memory ends the log, and neither the program nor a wait") {
  constexpr std::uint64_t k_calls = 40;
  for (std::uint64_t nth = 1; nth <= k_calls; ++nth) {
    INFO("call " << nth);
    DiskWithPoorQueue disk(nth);
    bool durable = false;
    {
      Store store = must(open(disk));
      auto space = store.space("s");
      if (space) durable = space->put("key", "value", {.durability = Durability::sync}).has_value();
      const auto closed = store.close();
      if (!closed) CHECK(closed.error().code == ErrorCode::indeterminate);
    }
    Store store = must(open(disk));
    auto space = store.space("s");
    if (durable) {
      std::string value;
      REQUIRE(must(must(std::move(space)).get("key", value)));
    }
  }
}

}  // namespace
}  // namespace actable
