#include "tests/wal/simulated_time.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace actable::test {
namespace {

// Threads change places where they wait, and nowhere else.
constexpr std::uint64_t k_never_switch = std::numeric_limits<std::uint64_t>::max();
// A thread that waits as often in an instant never lets it pass.
constexpr unsigned k_waits_at_once_max = 1'000;
// No test takes as long, or needs as many turns: one that does waits in vain.
constexpr Instant k_longest = std::chrono::hours(1);
constexpr std::size_t k_waits_max = 100'000;

}  // namespace

/// Requests take the disk's time, all beside each other. A sync covers what was
/// on the disk when it was asked for, and no more.
///
/// Thread safety: *confined* to whoever runs.
class PacedQueue final : public base::WriteQueue {
 public:
  explicit PacedQueue(PacedDisk& disk) : disk_(disk) {}

  void add_memory(std::span<std::byte>) override {}

  void submit_write(base::File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                    std::uint64_t tag) override {
    requests_.push_back({begin(disk_.times_.write, false), tag, &file, offset, bytes, 0});
  }
  void submit_sync(base::File& file, std::uint64_t tag) override {
    requests_.push_back({begin(disk_.times_.sync, true), tag, &file, 0, {}, disk_.changes()});
  }

  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<base::Completion>& done) override {
    count_wait();
    Scheduler& scheduler = disk_.scheduler_;
    std::optional<base::TimePoint> end;
    if (timeout) end = scheduler.now() + *timeout;
    while (true) {
      const bool any = carry_out(done);
      if (any || woken_ || (end && scheduler.now() >= *end)) break;
      std::optional<base::TimePoint> until = end;
      for (const Request& request : requests_) {
        const base::TimePoint due = disk_.began_at_ + request.due;
        if (!until || due < *until) until = due;
      }
      scheduler.await(
          "log.queue", [this] { return woken_; }, until);
    }
    woken_ = false;
  }

  void wake() noexcept override {
    woken_ = true;
    ++disk_.wakes_;
  }

  [[nodiscard]] std::string name() const override { return "paced"; }
  [[nodiscard]] bool memory_registered() const noexcept override { return false; }

 private:
  struct Request {
    Instant due;
    std::uint64_t tag;
    base::File* file;
    std::uint64_t offset;
    std::span<const std::byte> bytes;
    std::uint64_t sync_through;
  };

  /// When it will be done.
  Instant begin(std::chrono::nanoseconds time, bool is_sync) {
    disk_.requests_.push_back({disk_.now(), disk_.now() + time, is_sync});
    return disk_.requests_.back().done;
  }

  void count_wait() {
    disk_.waits_.push_back(disk_.now());
    const std::size_t before = disk_.waits_.size() - 1;
    if (before >= k_waits_at_once_max && disk_.waits_[before - k_waits_at_once_max] == disk_.now()) {
      fail_test("the log's thread turns in a circle and lets no time pass");
    }
    if (disk_.now() > k_longest || before >= k_waits_max) fail_test("what is waited for does not come");
  }

  /// What is due by now. False when that was nothing.
  bool carry_out(std::vector<base::Completion>& done) {
    const std::size_t before = done.size();
    std::erase_if(requests_, [&](const Request& request) {
      if (request.due > disk_.now()) return false;
      const Result<void> outcome = request.bytes.empty() ? disk_.sync_through(*request.file, request.sync_through)
                                                         : request.file->write(request.offset, request.bytes);
      must(outcome);
      done.push_back({request.tag, std::nullopt});
      return true;
    });
    return done.size() != before;
  }

  PacedDisk& disk_;
  std::vector<Request> requests_;
  bool woken_ = false;
};

Result<std::unique_ptr<base::WriteQueue>> PacedDisk::make_queue(LogIo) { return std::make_unique<PacedQueue>(*this); }

TimedLog::TimedLog(const Options& options, DiskTimes times)
    : options_(options), scheduler_(seed(), k_never_switch, Instant{0}), disk_(scheduler_, times) {}

void TimedLog::run(std::vector<Client> clients) {
  std::unique_ptr<Life> life;
  std::size_t running = clients.size();
  std::vector<std::function<void()>> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] {
      if (i == 0) {
        auto opened = std::make_unique<Life>(disk_, options_);
        // Longer than an interval: what the opening began is over.
        pause(std::chrono::seconds(20));
        life = std::move(opened);
      }
      await([&] { return life != nullptr; });
      clients[i](*life);
      --running;
      if (i != 0) return;
      await([&] { return running == 0; });
      must(life->close());
      life.reset();
    });
  }
  scheduler_.run(std::move(threads));
}

void TimedLog::await(const std::function<bool()>& condition) { scheduler_.await("test", condition, std::nullopt); }

Instant TimedLog::durable_at(const Life& life, Seq seq) {
  await([&] { return life.durable() > seq; });
  return now();
}

Pace TimedLog::watch(const Life& life, const std::function<void()>& meanwhile) {
  Pace pace{.from = now()};
  const std::uint64_t rounds = life.stats().rounds;
  const std::size_t requests = disk_.requests().size();
  const std::size_t waits = disk_.waits().size();
  const std::uint64_t wakes = disk_.wakes();
  meanwhile();
  pace.rounds = life.stats().rounds - rounds;
  pace.wakes = disk_.wakes() - wakes;
  for (const DiskRequest& request : std::span(disk_.requests()).subspan(requests)) {
    std::vector<Instant>& begun = request.is_sync ? pace.syncs : pace.writes;
    const Instant at = request.at - pace.from;
    if (begun.empty() || begun.back() != at) begun.push_back(at);
  }
  for (const Instant at : std::span(disk_.waits()).subspan(waits)) pace.waits.push_back(at - pace.from);
  return pace;
}

}  // namespace actable::test
