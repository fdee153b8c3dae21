#include "base/read_ahead.h"
#include "tests/support/allocations.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/wait.h"
#include "wal/delivery.h"
#include "wal/format.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

// Threads that help to read a log, and have no memory.
namespace actable::wal {
namespace {

namespace allocations = test::allocations;
using test::outcome;

/// From now on the calling thread gets no memory, while others do.
void lose_memory() {
  allocations::fail(1, true);
  allocations::count_thread(true);
}

/// A file of zeros. Whoever reads it has no memory afterwards.
class DrainingFile final : public base::File {
 public:
  Result<std::size_t> read(std::uint64_t, std::span<std::byte> into) override {
    std::ranges::fill(into, std::byte{0});
    lose_memory();
    return into.size();
  }
  Result<void> write(std::uint64_t, std::span<const std::byte>) override { return {}; }
  Result<void> sync() override { return {}; }
  Result<void> allocate(std::uint64_t) override { return {}; }
  Result<std::uint64_t> size() override { return 0; }
  [[nodiscard]] bool direct() const noexcept override { return true; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }

 private:
  std::filesystem::path path_;
};

TEST_CASE("where a thread that reads ahead gets no memory, whoever asks for what it was to read is told") {
  allocations::reset();
  DrainingFile file;
  {
    base::ReadAhead ahead(1);
    constexpr std::uint64_t k_window = base::ReadAhead::k_window_bytes;
    ahead.add(file, 0, 4 * k_window);
    const auto first = ahead.view(file, 0, 1);
    REQUIRE((first && *first));
    const auto second = ahead.view(file, k_window, 1);
    CHECK(outcome(second) == "no_memory");
  }
  allocations::heal();
}

base::FileView one_record() {
  const LogRecord record{2, 1, false, "key", "value"};
  const std::size_t bytes = record_bytes(record.key.size(), record.value.size());
  const auto memory = std::make_shared<std::vector<std::byte>>(bytes);
  encode(record, memory->data());
  return {*memory, {memory, memory->data()}};
}

TEST_CASE("where a helper gets no memory for a log's records, whoever reads the log is told, and waits for nobody") {
  if (std::thread::hardware_concurrency() < 2) {
    WARN("a single processor has no helpers");
    return;
  }
  allocations::reset();
  std::atomic<bool> helped{false};
  const Apply apply = [](std::span<const LogRecord>) -> Result<void> { return {}; };
  const Help help = [&helped](const std::function<void(const Apply&)>& work) {
    const Apply fails = [&helped](std::span<const LogRecord>) -> Result<void> {
      lose_memory();
      helped = true;
      throw std::bad_alloc();
    };
    work(fails);
  };
  {
    Delivery delivery(apply, help);
    delivery.employ();
    // Until a helper has had some.
    Result<void> taken{};
    const base::FileView record = one_record();
    test::until("a helper takes records", [&] {
      if (taken && !helped) taken = delivery.take({record, 0, k_seq_max});
      return !taken || helped;
    });
    CHECK(outcome(delivery.finish()) == "no_memory");
  }
  allocations::heal();
}

}  // namespace
}  // namespace actable::wal
