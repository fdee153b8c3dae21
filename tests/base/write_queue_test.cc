#include "base/file.h"
#include "base/pwrite_queue.h"
#include "base/uring_queue.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forked.h"
#include "tests/support/temporary_directory.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

namespace actable::base {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::Call;
using test::ContainsSubstring;
using test::FaultyFileSystem;
using test::TemporaryDirectory;

struct alignas(k_block_bytes) Block : std::array<std::byte, k_block_bytes> {};

constexpr OpenMode k_new{.create = true, .write = true, .direct = true};

/// The kinds of queue that this kernel has: each test runs once on each.
std::vector<LogIo> kinds() {
  std::vector<LogIo> found{LogIo::pwrite};
  const auto uring = make_uring_queue();
  if (uring || uring.error().code != ErrorCode::unsupported) found.push_back(LogIo::io_uring);
  return found;
}

std::unique_ptr<WriteQueue> make(LogIo kind, unsigned in_flight_max = 256) {
  if (kind == LogIo::pwrite) return make_pwrite_queue();
  auto queue = make_uring_queue(in_flight_max);
  INFO((queue ? "" : queue.error().message));
  REQUIRE(queue);
  return std::move(*queue);
}

std::unique_ptr<File> opened(FileSystem& system, const std::filesystem::path& name, OpenMode mode) {
  auto file = system.open(name, mode);
  INFO((file ? "" : file.error().message));
  REQUIRE(file);
  return std::move(*file);
}

/// Blocks of which number i is filled with i + 1, modulo 251.
std::vector<Block> blocks(std::size_t count) {
  std::vector<Block> made(count);
  for (std::size_t i = 0; i < count; ++i) made[i].fill(static_cast<std::byte>(i % 251 + 1));
  return made;
}

/// Submits each block to its place in the file, its number being the tag.
void submit_all(WriteQueue& queue, File& file, const std::vector<Block>& from) {
  for (std::size_t i = 0; i < from.size(); ++i) queue.submit_write(file, i * k_block_bytes, from[i], i);
}

std::vector<Completion> collect(WriteQueue& queue, std::size_t count) {
  std::vector<Completion> done;
  while (done.size() < count) queue.wait(std::nullopt, done);
  std::ranges::sort(done, std::less<>{}, &Completion::tag);
  return done;
}

void check_all_done(const std::vector<Completion>& done, std::size_t count) {
  REQUIRE(done.size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    if (done[i].tag != i || done[i].error) FAIL("tag " << done[i].tag << " in place " << i << " or an error");
  }
}

bool holds(File& file, const std::vector<Block>& expected) {
  std::vector<Block> found(expected.size());
  const auto got = file.read(0, std::as_writable_bytes(std::span(found)));
  return got && *got == found.size() * k_block_bytes && found == expected;
}

/// The error that one write or sync came to.
std::string error_of(WriteQueue& queue) {
  const std::vector<Completion> done = collect(queue, 1);
  CHECK(done.at(0).tag == 7);
  REQUIRE(done[0].error);
  CHECK(to_string(done[0].error->code) == "io_error");
  return done[0].error->message;
}

TEST_CASE("writes land in their places and each completion carries its tag") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  const std::vector<Block> content = blocks(100);
  submit_all(*queue, *file, content);
  check_all_done(collect(*queue, content.size()), content.size());
  CHECK(holds(*file, content));

  queue->submit_sync(*file, 0);
  check_all_done(collect(*queue, 1), 1);
}

TEST_CASE("more requests than may be in flight are all carried out") {
  const LogIo kind = GENERATE(test::from_range(kinds()));
  const unsigned in_flight_max = GENERATE(1U, 3U);
  const auto queue = make(kind, in_flight_max);
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  const std::vector<Block> content = blocks(50);
  submit_all(*queue, *file, content);
  check_all_done(collect(*queue, content.size()), content.size());
  CHECK(holds(*file, content));
}

TEST_CASE("the end of a queue waits for what is in flight") {
  auto queue = make(GENERATE(test::from_range(kinds())));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  const std::vector<Block> content = blocks(40);
  // With the wake's request in the ring too.
  std::vector<Completion> done;
  queue->wait(0ns, done);
  submit_all(*queue, *file, content);
  queue.reset();
  CHECK(holds(*file, content));
}

TEST_CASE("a wait that returns has started what was submitted") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  const std::vector<Block> content = blocks(1);
  submit_all(*queue, *file, content);
  queue->wake();
  std::vector<Completion> done;
  queue->wait(std::nullopt, done);
  // Nobody waits for it any more, and it lands.
  const auto deadline = steady_clock::now() + 60s;
  while (!holds(*file, content) && steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(holds(*file, content));
  if (done.empty()) done = collect(*queue, 1);
  check_all_done(done, 1);
}

TEST_CASE("a failed write is reported with its tag and says what and where") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  const std::vector<Block> content = blocks(1);
  SECTION("a full disk") {
    const auto file = opened(posix_file_system(), "/dev/full", {.write = true});
    queue->submit_write(*file, k_block_bytes, content[0], 7);
    CHECK_THAT(error_of(*queue), ContainsSubstring("cannot write 4096 bytes at offset 4096 of /dev/full: No space"));
  }
  SECTION("a file that was opened for reading") {
    const TemporaryDirectory directory;
    REQUIRE(posix_file_system().open(directory / "f", k_new));
    const auto file = opened(posix_file_system(), directory / "f", {});
    queue->submit_write(*file, 0, content[0], 7);
    CHECK_THAT(error_of(*queue), ContainsSubstring((directory / "f").string()));
    CHECK(*file->size() == 0);
  }
  SECTION("a file that cannot be synced") {
    const auto file = opened(posix_file_system(), "/dev/full", {.write = true});
    queue->submit_sync(*file, 7);
    CHECK_THAT(error_of(*queue), ContainsSubstring("cannot sync /dev/full"));
  }
}

/// A limit on file sizes, until it is destroyed.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    signal_before_ = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, signal_before_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*signal_before_)(int) = nullptr;
};

TEST_CASE("a short write is a failure") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", {.create = true, .write = true});
  const std::vector<Block> content = blocks(3);
  std::vector<Completion> done;
  {
    const FileSizeLimit limit(2 * k_block_bytes);
    queue->submit_write(*file, 0, std::as_bytes(std::span(content)), 7);
    while (done.empty()) queue->wait(std::nullopt, done);
  }
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 7);
  REQUIRE(done[0].error);
  CHECK_THAT(done[0].error->message, ContainsSubstring("wrote 8192 of 12288 bytes at offset 0 of"));
  CHECK(*file->size() == 2 * k_block_bytes);
}

TEST_CASE("a wait without completions ends at its timeout") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  std::vector<Completion> done;
  for (const auto timeout : {-5ms, 0ms, 1ms, 20ms}) {
    const auto start = steady_clock::now();
    queue->wait(timeout, done);
    CHECK(steady_clock::now() - start >= timeout);
    CHECK(done.empty());
  }
}

TEST_CASE("wakes before a wait end that wait and no other") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  std::vector<Completion> done;
  for (int i = 0; i < 100; ++i) {
    queue->wake();
    queue->wake();
    queue->wait(std::chrono::nanoseconds::max(), done);
    const auto start = steady_clock::now();
    queue->wait(1ms, done);
    REQUIRE(steady_clock::now() - start >= 1ms);
  }
  CHECK(done.empty());
}

constexpr int k_wakes = 10'000;
// Only a wake-up that was lost waits so long.
constexpr auto k_lost = 60s;

/// Some nanoseconds for each turn, without giving up the processor.
void spin(int turns) {
  for (std::atomic<int> turn{0}; turn.load(std::memory_order_relaxed) < turns;) {
    turn.fetch_add(1, std::memory_order_relaxed);
  }
}

TEST_CASE("a wake from another thread ends a wait, ten thousand times one after another") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  // relaxed throughout: what orders them is the queue's own promise.
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};
  std::atomic<bool> lost{false};
  std::thread waiter([&] {
    std::vector<Completion> done;
    for (int seen = 0; seen < 2 * k_wakes && !lost;) {
      const auto start = steady_clock::now();
      queue->wait(k_lost, done);
      if (steady_clock::now() - start >= k_lost) lost = true;
      seen = asked.load(std::memory_order_relaxed);
      answered.store(seen, std::memory_order_relaxed);
    }
  });
  for (int i = 1; i <= k_wakes && !lost; ++i) {
    // At all distances from the waiter's falling asleep, the first, and from
    // its awakening by the first, the second.
    asked.store(2 * i - 1, std::memory_order_relaxed);
    queue->wake();
    spin(i % 127);
    asked.store(2 * i, std::memory_order_relaxed);
    queue->wake();
    for (int tries = 0; answered.load(std::memory_order_relaxed) != 2 * i && !lost; ++tries) {
      if (tries > 1'000) std::this_thread::yield();
    }
    spin(i / 127 % 127);
  }
  waiter.join();
  CHECK_FALSE(lost);
}

TEST_CASE("what a thread did before its wake is seen after the wait") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  // Not atomic: ThreadSanitizer shows whether the wake alone orders it.
  int message = 0;
  std::atomic<int> answered{0};
  int wrong = 0;
  std::thread waiter([&] {
    std::vector<Completion> done;
    for (int i = 1; i <= k_wakes; ++i) {
      queue->wait(std::nullopt, done);
      if (message != i) ++wrong;
      // release: pairs with the acquire below, before the message is changed.
      answered.store(i, std::memory_order_release);
    }
  });
  for (int i = 1; i <= k_wakes; ++i) {
    message = i;
    queue->wake();
    while (answered.load(std::memory_order_acquire) != i) std::this_thread::yield();
  }
  waiter.join();
  CHECK(wrong == 0);
}

TEST_CASE("no wake is lost among those of several threads") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  const std::vector<Block> content = blocks(1);
  constexpr int k_wakers = 3;
  constexpr int k_wakes_each = 100'000;
  // relaxed throughout: what orders them is the queue's own promise.
  std::array<std::atomic<int>, k_wakers> published{};
  std::vector<std::thread> wakers;
  for (auto& mine : published) {
    wakers.emplace_back([&] {
      for (int i = 1; i <= k_wakes_each; ++i) {
        mine.store(i, std::memory_order_relaxed);
        queue->wake();
      }
    });
  }
  std::size_t submitted = 0;
  std::vector<Completion> done;
  bool lost = false;
  const auto all_seen = [&] {
    return std::ranges::all_of(published,
                               [](auto& one) { return one.load(std::memory_order_relaxed) == k_wakes_each; });
  };
  while (!lost && !all_seen()) {
    if (done.size() == submitted && submitted < 200) queue->submit_write(*file, 0, content[0], submitted++);
    const auto start = steady_clock::now();
    queue->wait(k_lost, done);
    lost = steady_clock::now() - start >= k_lost;
  }
  for (std::thread& waker : wakers) waker.join();
  CHECK_FALSE(lost);
  while (done.size() < submitted) queue->wait(std::nullopt, done);
  check_all_done(done, submitted);
}

TEST_CASE("a queue that passes to another thread hears wakes there") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  std::vector<Completion> done;
  const bool first_ended = GENERATE(false, true);
  std::atomic<bool> passed{false};
  std::atomic<bool> may_end{false};
  std::thread first([&] {
    queue->wait(0ns, done);
    passed = true;
    passed.notify_one();
    if (!first_ended) may_end.wait(false);
  });
  passed.wait(false);
  if (first_ended) first.join();

  bool lost = false;
  std::thread second([&] {
    const auto start = steady_clock::now();
    queue->wait(k_lost, done);
    lost = steady_clock::now() - start >= k_lost;
  });
  queue->wake();
  second.join();
  may_end = true;
  may_end.notify_one();
  if (first.joinable()) first.join();
  CHECK_FALSE(lost);
  CHECK(done.empty());
}

TEST_CASE("writes from inside, across and outside registered memory land alike") {
  const LogIo kind = GENERATE(test::from_range(kinds()));
  std::vector<Block> content = blocks(20);
  const auto queue = make(kind);
  CHECK_FALSE(queue->memory_registered());
  // Given out of order and with a gap, in which blocks 4 and 5 lie.
  const std::span<Block> all(content);
  queue->add_memory(std::as_writable_bytes(all.subspan(6, 6)));
  queue->add_memory(std::as_writable_bytes(all.subspan(12, 8)));
  queue->add_memory(std::as_writable_bytes(all.subspan(0, 4)));
  if (kind == LogIo::pwrite) CHECK_FALSE(queue->memory_registered());
  // The limit of the user who runs the test may be too low.
  if (kind == LogIo::io_uring && !queue->memory_registered()) WARN("memory was not registered here");

  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  std::size_t submitted = 0;
  // 3 to 6 and 11 to 12 cross a border.
  constexpr std::array<std::array<std::size_t, 2>, 7> k_pieces{
      {{0, 1}, {1, 2}, {3, 4}, {7, 4}, {11, 2}, {13, 6}, {19, 1}}};
  for (const auto& [first, count] : k_pieces) {
    queue->submit_write(*file, first * k_block_bytes, std::as_bytes(all.subspan(first, count)), submitted++);
  }
  check_all_done(collect(*queue, submitted), submitted);
  CHECK(holds(*file, content));
}

TEST_CASE("memory beyond what can be registered is written all the same") {
  const auto queue = make(GENERATE(test::from_range(kinds())));
  std::vector<Block> content = blocks(1100);
  for (Block& block : content) queue->add_memory(block);
  CHECK_FALSE(queue->memory_registered());
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  submit_all(*queue, *file, content);
  check_all_done(collect(*queue, content.size()), content.size());
  CHECK(holds(*file, content));
}

TEST_CASE("memory beyond what may be locked is written unregistered") {
  const LogIo kind = GENERATE(test::from_range(kinds()));
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  std::vector<Block> content = blocks(256);
  const int outcome = test::in_forked_child([&] {
    // Enough for the rings, for which newer kernels ask too, and not for the blocks.
    const rlimit limit{512 << 10, 512 << 10};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || !test::drop_root()) return 1;
    auto queue = posix_file_system().make_queue(kind);
    if (!queue) return queue.error().code == ErrorCode::no_memory ? 2 : 3;
    (*queue)->add_memory(std::as_writable_bytes(std::span(content)));
    if ((*queue)->memory_registered()) return 4;
    submit_all(**queue, *file, content);
    std::vector<Completion> done;
    while (done.size() < content.size()) (*queue)->wait(std::nullopt, done);
    return std::ranges::any_of(done, [](const Completion& one) { return one.error.has_value(); }) ? 5 : 0;
  });
  if (outcome == 2) {
    WARN("other programs of this user have locked what memory it may lock");
    return;
  }
  CHECK(outcome == 0);
  CHECK(holds(*file, content));
}

TEST_CASE("a queue is made of the kind that was asked for") {
  FileSystem& system = posix_file_system();
  for (const LogIo kind : kinds()) {
    const auto queue = system.make_queue(kind);
    REQUIRE(queue);
    CHECK((*queue)->name() == (kind == LogIo::pwrite ? "pwrite" : "io_uring"));
    CHECK((*system.make_queue(LogIo::automatic))->name() == (kinds().size() == 1 ? "pwrite" : "io_uring"));
  }
}

TEST_CASE("without io_uring the automatic queue is pwrite, and io_uring itself is unsupported") {
  const unsigned error = GENERATE(unsigned{ENOSYS}, unsigned{EPERM});
  const int outcome = test::in_forked_child([&] {
    if (!test::refuse({SYS_io_uring_setup, error})) return 1;
    const auto chosen = posix_file_system().make_queue(LogIo::automatic);
    if (!chosen || (*chosen)->name() != "pwrite") return 2;
    const auto refused = posix_file_system().make_queue(LogIo::io_uring);
    return !refused && refused.error().code == ErrorCode::unsupported ? 0 : 3;
  });
  if (outcome == 1) {
    WARN("this system lets no process give up a system call");
    return;
  }
  CHECK(outcome == 0);
}

TEST_CASE("room for no request, or for too many, is refused") {
  for (const unsigned in_flight_max : {0U, k_uring_in_flight_max + 1, ~0U}) {
    const auto queue = make_uring_queue(in_flight_max);
    REQUIRE_FALSE(queue);
    CHECK(to_string(queue.error().code) == "invalid_argument");
  }
}

TEST_CASE("both kinds of queue run a simulated file through its own calls") {
  const LogIo kind = GENERATE(test::from_range(kinds()));
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto queue = faulty.make_queue(kind);
  REQUIRE(queue);
  CHECK((*queue)->name() == (kind == LogIo::pwrite ? "pwrite" : "io_uring"));
  const auto file = opened(faulty, directory / "f", k_new);
  const std::vector<Block> content = blocks(5);
  submit_all(**queue, *file, content);
  check_all_done(collect(**queue, content.size()), content.size());
  CHECK(holds(*file, content));
  CHECK(faulty.calls(Call::write) == content.size());

  faulty.fail_nth(Call::write, 1);
  (*queue)->submit_write(*file, 0, content[0], 7);
  CHECK_THAT(error_of(**queue), ContainsSubstring("Input/output error"));
  faulty.fail_nth(Call::sync, 1);
  (*queue)->submit_sync(*file, 7);
  CHECK_THAT(error_of(**queue), ContainsSubstring("cannot sync"));
  // Nothing was tried again.
  CHECK(faulty.calls(Call::write) == content.size() + 1);
  CHECK(faulty.calls(Call::sync) == 1);
}

}  // namespace
}  // namespace actable::base
