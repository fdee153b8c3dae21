#include "tests/lab/crash/disk.h"

#include <utility>

namespace actable::lab {
namespace {

/// Requests wait until the scheduler has one of them carried out. A sync covers
/// what was on the disk when it was submitted, and no more.
///
/// Thread safety: *confined* to whoever runs.
class Queue final : public base::WriteQueue, public test::Device {
 public:
  Queue(test::Scheduler& scheduler, Disk& disk) : scheduler_(scheduler), disk_(disk) { scheduler_.add(*this); }
  ~Queue() override {
    while (has_work()) work(scheduler_.random());
    scheduler_.remove(*this);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  void add_memory(std::span<std::byte>) override {}

  void submit_write(base::File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                    std::uint64_t tag) override {
    requests_.push_back({&file, offset, bytes, tag, std::nullopt});
  }
  void submit_sync(base::File& file, std::uint64_t tag) override {
    requests_.push_back({&file, 0, {}, tag, disk_.changes()});
  }

  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<base::Completion>& done) override {
    const auto over = [this] { return !done_.empty() || woken_; };
    std::optional<base::TimePoint> until;
    if (timeout) until = scheduler_.now() + std::chrono::duration_cast<base::Clock::duration>(*timeout);
    scheduler_.await("log.queue", over, until);
    woken_ = false;
    std::ranges::move(done_, std::back_inserter(done));
    done_.clear();
  }

  void wake() noexcept override { woken_ = true; }

  [[nodiscard]] std::string name() const override { return "simulated"; }
  [[nodiscard]] bool memory_registered() const noexcept override { return false; }

  [[nodiscard]] bool has_work() const override { return !requests_.empty(); }

  void work(test::Random& random) override {
    const auto at = requests_.begin() + static_cast<std::ptrdiff_t>(random.below(requests_.size()));
    const Request request = *at;
    requests_.erase(at);
    const Result<void> outcome = carry_out(request);
    base::Completion completion{request.tag, std::nullopt};
    if (!outcome) completion.error = outcome.error();
    done_.push_back(std::move(completion));
  }

 private:
  struct Request {
    base::File* file;
    std::uint64_t offset;
    std::span<const std::byte> bytes;
    std::uint64_t tag;
    std::optional<std::uint64_t> sync_through;
  };

  [[nodiscard]] Result<void> carry_out(const Request& request) {
    if (request.sync_through) return disk_.sync_through(*request.file, *request.sync_through);
    if (disk_.take_failure()) return fail(ErrorCode::io_error, "the write was made to fail");
    return request.file->write(request.offset, request.bytes);
  }

  test::Scheduler& scheduler_;
  Disk& disk_;
  std::vector<Request> requests_;
  std::vector<base::Completion> done_;
  bool woken_ = false;
};

}  // namespace

Result<std::unique_ptr<base::WriteQueue>> Disk::make_queue(LogIo) { return std::make_unique<Queue>(scheduler_, *this); }

}  // namespace actable::lab
