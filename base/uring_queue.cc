#include "base/uring_queue.h"

#include "base/assert.h"
#include "base/file_error.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <system_error>
#include <utility>

namespace actable::base {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Waiting longer is waiting for ever; the sum with the clock must not overflow.
constexpr nanoseconds k_timeout_max = std::chrono::hours(24 * 365);
// How soon to offer the kernel again what it had no memory for.
constexpr nanoseconds k_offer_again = std::chrono::milliseconds(1);
// Requests gathered before they are handed over without waiting for wait(): the
// disk gets work while the log's thread prepares more, at 1/16 of a call each.
constexpr unsigned k_batch = 16;
// The most that the kernel takes in one table, and it costs 16 bytes for each.
constexpr unsigned k_regions_max = 1024;
// Times that one write is handed over again after the system turned it away.
constexpr unsigned k_resubmits_max = 100;
// Below the kernel's own limit on one write (2 GiB less a page). A longer
// request ends as a short write, so as a failure.
constexpr std::size_t k_request_bytes_max = std::size_t{1} << 30;
// Marks the read that wake() ends; requests are marked with their slot.
constexpr std::uint64_t k_wake_mark = ~std::uint64_t{0};

Error ring_error(int system_error) {
  const std::string said = std::generic_category().message(system_error);
  switch (system_error) {
    case ENOSYS:
    case EPERM:
    case EACCES:
    case EINVAL:
      return {ErrorCode::unsupported, "io_uring is not to be had (" + said +
                                          "): the kernel or a sandbox has it switched off; set Options::log_io to "
                                          "automatic or pwrite"};
    case ENOMEM:
      return {ErrorCode::no_memory,
              "cannot set up io_uring: " + said + "; raise the limit on locked memory (ulimit -l)"};
    default:
      return {ErrorCode::io_error, "cannot set up io_uring: " + said};
  }
}

/// Wake-ups. wake() sets a flag and, if it was clear, writes to an eventfd. A
/// read of the eventfd lies in the ring while the log's thread sleeps there, so
/// that the write ends the sleep; its completion empties the eventfd. The
/// thread clears the flag (1) whenever wait() looks, and (2) after it has taken
/// the read's completion and before it sleeps again. If the flag was set, wait()
/// returns; if not (the eventfd's write came late, for a flag cleared by (1)),
/// it goes on.
///
/// No wake-up is lost. Let the flag be set while the thread sleeps, last by X.
/// X set it after the thread's last clear. Had the eventfd been emptied after
/// X's write, which follows X's setting, the read's completion would lie in the
/// ring, so that the thread does not sleep, or would have been taken and
/// followed by a clear, by (2), after X set the flag: both contradict. So X's
/// write is still in the eventfd or still to come, and the read, in place by
/// then, completes. And what the caller of a wake did before is seen after
/// wait(): setting and clearing are exchanges, so the clear that answers reads
/// the value of the last setting, which continues the release sequence of those
/// before it.
///
/// The read belongs, to the kernel, to the thread that submitted it. If the
/// queue then passes to another thread, the first wake-up is delivered by way
/// of the old thread (the kernel interrupts it), or, if that ended, the read is
/// cancelled; either way it is placed again by the new one. This is why none of
/// the flags that tie a ring to one thread is set, nor IORING_SETUP_COOP_TASKRUN,
/// with which the delivery would wait for the old thread's next system call.
///
/// Thread safety: *confined* to the log's thread, but for `wake`.
class UringQueue final : public WriteQueue {
 public:
  explicit UringQueue(unsigned in_flight_max) : requests_(in_flight_max) {
    free_.reserve(in_flight_max);
    for (unsigned slot = in_flight_max; slot-- > 0;) free_.push_back(slot);
  }
  UringQueue(const UringQueue&) = delete;
  UringQueue& operator=(const UringQueue&) = delete;
  ~UringQueue() override;

  /// To be called once, before anything else.
  [[nodiscard]] Result<void> set_up();

  void add_memory(std::span<std::byte> memory) override;
  void hold(const DirectoryLock& lock) override;
  void submit_write(File& file, std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t tag) override;
  void submit_sync(File& file, std::uint64_t tag) override;
  void wait(std::optional<nanoseconds> timeout, std::vector<Completion>& done) override;
  void wake() noexcept override;

  [[nodiscard]] std::string name() const override { return "io_uring"; }
  [[nodiscard]] bool memory_registered() const noexcept override { return !regions_.empty() && all_registered_; }

 private:
  struct Request {
    File* file = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
    std::uint64_t tag = 0;
    bool is_sync = false;
    unsigned resubmits = 0;
  };

  /// Memory that the kernel knows as number `index`.
  struct Region {
    const std::byte* begin;
    const std::byte* end;
    int index;
  };

  void make_room();
  void start(const Request& request);
  void prepare(unsigned slot);
  void place_wake_read();
  [[nodiscard]] bool flush();
  void sleep(std::optional<nanoseconds> longest);
  void flush_and_sleep();
  void reap();
  void take_completion(std::uint64_t mark, int result);
  void complete(std::uint64_t tag, Result<void> outcome);
  [[nodiscard]] std::optional<int> region_of(std::span<const std::byte> bytes) const;

  io_uring ring_{};
  bool ring_open_ = false;
  int eventfd_ = -1;
  std::uint64_t eventfd_value_ = 0;
  bool wake_read_placed_ = false;
  bool woken_ = false;
  std::atomic<bool> wake_pending_{false};

  std::vector<Request> requests_;
  std::vector<unsigned> free_;
  // What completed and was not collected yet; the collector bounds it.
  std::vector<Completion> ready_;

  // Ordered by address.
  std::vector<Region> regions_;
  bool table_open_ = false;
  bool all_registered_ = true;
};

Result<void> UringQueue::set_up() {
  // The submission queue holds every slot and the wake's read, so it is never
  // full; the kernel makes the completion queue twice as long.
  const int made = io_uring_queue_init(static_cast<unsigned>(requests_.size()) + 1, &ring_, 0);
  if (made < 0) return std::unexpected(ring_error(-made));
  ring_open_ = true;
  // Waiting with a timeout and without a request for it: Linux 5.11.
  if ((ring_.features & IORING_FEAT_EXT_ARG) == 0) return std::unexpected(ring_error(ENOSYS));
  // Now and not when the first memory comes: before 5.13 this call would wait
  // for every request in flight, and the wake's read does not end by itself.
  table_open_ = io_uring_register_buffers_sparse(&ring_, k_regions_max) == 0;
  // Blocking: on a non-blocking one the read would fail instead of waiting.
  eventfd_ = eventfd(0, EFD_CLOEXEC);
  if (eventfd_ < 0) return std::unexpected(ring_error(errno));
  return {};
}

UringQueue::~UringQueue() {
  while (free_.size() != requests_.size()) flush_and_sleep();
  if (wake_read_placed_) {
    // The kernel must be done with eventfd_value_ before that goes.
    wake();
    while (wake_read_placed_) flush_and_sleep();
  }
  if (ring_open_) io_uring_queue_exit(&ring_);
  if (eventfd_ >= 0) close(eventfd_);
}

void UringQueue::add_memory(std::span<std::byte> memory) {
  if (memory.empty()) return;
  if (!table_open_ || regions_.size() == k_regions_max) {
    all_registered_ = false;
    return;
  }
  const iovec vector{memory.data(), memory.size()};
  const __u64 no_tag = 0;
  const auto index = static_cast<unsigned>(regions_.size());
  if (io_uring_register_buffers_update_tag(&ring_, index, &vector, &no_tag, 1) != 1) {
    all_registered_ = false;
    return;
  }
  const Region region{memory.data(), memory.data() + memory.size(), static_cast<int>(index)};
  regions_.insert(std::ranges::upper_bound(regions_, region.begin, std::less<>{}, &Region::begin), region);
}

/// The ring lives until the last request has ended, longer than its process if
/// need be, and a file registered with it as long.
void UringQueue::hold(const DirectoryLock& lock) {
  const int file = lock.descriptor();
  if (file >= 0) (void)io_uring_register_files(&ring_, &file, 1);
}

std::optional<int> UringQueue::region_of(std::span<const std::byte> bytes) const {
  const auto after = std::ranges::upper_bound(regions_, bytes.data(), std::less<>{}, &Region::begin);
  if (after == regions_.begin()) return std::nullopt;
  const Region& region = *std::prev(after);
  const bool inside = std::less_equal<>{}(bytes.data() + bytes.size(), region.end);
  return inside ? std::optional(region.index) : std::nullopt;
}

void UringQueue::submit_write(File& file, std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t tag) {
  if (file.descriptor() < 0) {
    make_room();
    complete(tag, file.write(offset, bytes));
  } else {
    start({.file = &file, .offset = offset, .bytes = bytes, .tag = tag});
  }
}

void UringQueue::submit_sync(File& file, std::uint64_t tag) {
  if (file.descriptor() < 0) {
    make_room();
    complete(tag, file.sync());
  } else {
    start({.file = &file, .bytes = {}, .tag = tag, .is_sync = true});
  }
}

/// For the completions of one more request than there are: what was done must be told.
void UringQueue::make_room() {
  const std::size_t needed = ready_.size() + (requests_.size() - free_.size()) + 1;
  if (ready_.capacity() < needed) ready_.reserve(2 * needed);
}

void UringQueue::start(const Request& request) {
  make_room();
  while (free_.empty()) flush_and_sleep();
  const unsigned slot = free_.back();
  free_.pop_back();
  requests_[slot] = request;
  prepare(slot);
  // What the kernel does not take now it is offered again by wait().
  if (io_uring_sq_ready(&ring_) >= k_batch) (void)flush();
}

void UringQueue::prepare(unsigned slot) {
  const Request& request = requests_[slot];
  io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
  ACTABLE_ASSERT(entry != nullptr);
  const int descriptor = request.file->descriptor();
  if (request.is_sync) {
    io_uring_prep_fsync(entry, descriptor, IORING_FSYNC_DATASYNC);
  } else {
    const auto length = static_cast<unsigned>(std::min(request.bytes.size(), k_request_bytes_max));
    if (const auto region = region_of(request.bytes)) {
      io_uring_prep_write_fixed(entry, descriptor, request.bytes.data(), length, request.offset, *region);
    } else {
      io_uring_prep_write(entry, descriptor, request.bytes.data(), length, request.offset);
    }
  }
  entry->user_data = slot;
}

void UringQueue::place_wake_read() {
  if (wake_read_placed_) return;
  io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
  ACTABLE_ASSERT(entry != nullptr);
  io_uring_prep_read(entry, eventfd_, &eventfd_value_, sizeof eventfd_value_, 0);
  entry->user_data = k_wake_mark;
  wake_read_placed_ = true;
}

/// Hands over what was prepared. False when the kernel lacks the memory to take
/// all of it now.
bool UringQueue::flush() {
  while (io_uring_sq_ready(&ring_) != 0) {
    const int taken = io_uring_submit(&ring_);
    if (taken > 0 || taken == -EINTR) continue;
    ACTABLE_ASSERT(taken == 0 || taken == -EAGAIN || taken == -EBUSY || taken == -ENOMEM);
    return false;
  }
  return true;
}

/// Returns when a completion lies in the ring, at the latest after `longest`,
/// and sometimes for nothing.
void UringQueue::sleep(std::optional<nanoseconds> longest) {
  __kernel_timespec at_most{};
  if (longest) {
    const nanoseconds left = std::max(*longest, nanoseconds::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    at_most.tv_sec = seconds.count();
    at_most.tv_nsec = (left - seconds).count();
  }
  io_uring_cqe* first = nullptr;
  const int outcome = io_uring_wait_cqe_timeout(&ring_, &first, longest ? &at_most : nullptr);
  ACTABLE_ASSERT(outcome == 0 || outcome == -ETIME || outcome == -EINTR || outcome == -EAGAIN || outcome == -EBUSY);
}

/// One step towards having fewer requests in flight.
void UringQueue::flush_and_sleep() {
  const bool all_taken = flush();
  sleep(all_taken ? std::nullopt : std::optional(k_offer_again));
  reap();
}

void UringQueue::reap() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    ++count;
    take_completion(entry->user_data, entry->res);
  }
  io_uring_cq_advance(&ring_, count);
}

void UringQueue::take_completion(std::uint64_t mark, int result) {
  if (mark == k_wake_mark) {
    // The reasons that pass: its thread ended, a signal, no memory. Anything
    // else means that our eventfd is not what we made.
    ACTABLE_ASSERT(result == sizeof eventfd_value_ || result == -ECANCELED || result == -EINTR || result == -EAGAIN ||
                   result == -ENOMEM);
    wake_read_placed_ = false;
    // acq_rel: pairs with the exchange in wake(). After the read completed, see above.
    if (wake_pending_.exchange(false, std::memory_order_acq_rel)) woken_ = true;
    return;
  }
  ACTABLE_ASSERT(mark < requests_.size());
  const auto slot = static_cast<unsigned>(mark);
  Request& request = requests_[slot];
  // Turned away with nothing transferred, so not a failed write. A sync is not
  // offered again: one that failed may have dropped what it was to put on disk.
  if (!request.is_sync && (result == -EINTR || result == -EAGAIN) && request.resubmits < k_resubmits_max) {
    ++request.resubmits;
    prepare(slot);
    return;
  }
  const std::filesystem::path& path = request.file->path();
  if (request.is_sync && result < 0) {
    complete(request.tag, std::unexpected(file_error(ErrorCode::io_error, "sync", path, -result)));
  } else if (result < 0) {
    complete(request.tag, std::unexpected(write_error(path, request.offset, request.bytes, -result)));
  } else if (!request.is_sync && static_cast<std::size_t>(result) != request.bytes.size()) {
    complete(request.tag,
             std::unexpected(short_write_error(path, request.offset, request.bytes, static_cast<std::size_t>(result))));
  } else {
    complete(request.tag, {});
  }
  free_.push_back(slot);
}

void UringQueue::complete(std::uint64_t tag, Result<void> outcome) {
  Completion completion{tag, std::nullopt};
  if (!outcome) completion.error = std::move(outcome).error();
  ready_.push_back(std::move(completion));
}

void UringQueue::wait(std::optional<nanoseconds> timeout, std::vector<Completion>& done) {
  std::optional<steady_clock::time_point> deadline;
  if (timeout) deadline = steady_clock::now() + std::min(*timeout, k_timeout_max);
  for (bool expired = false;;) {
    reap();
    // acq_rel: pairs with the exchange in wake().
    if (wake_pending_.exchange(false, std::memory_order_acq_rel)) woken_ = true;
    // Before a return too: what was submitted starts now.
    place_wake_read();
    const bool all_taken = flush();
    if (expired || woken_ || !ready_.empty()) break;
    std::optional<nanoseconds> left;
    if (deadline) {
      left = *deadline - steady_clock::now();
      // Slept once all the same: it lets the kernel deliver.
      expired = *left <= nanoseconds::zero();
    }
    if (!all_taken) left = std::min(left.value_or(k_offer_again), k_offer_again);
    sleep(left);
  }
  woken_ = false;
  done.insert(done.end(), std::make_move_iterator(ready_.begin()), std::make_move_iterator(ready_.end()));
  ready_.clear();
}

void UringQueue::wake() noexcept {
  // acq_rel: the release publishes what the caller did before, to the exchange
  // in wait(); the acquire continues it for the wakes that found the flag set.
  // An exchange and not a load first: a load may be done before the caller's own
  // stores are visible, and wait() could miss both.
  if (wake_pending_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = write(eventfd_, &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  ACTABLE_ASSERT(written == sizeof one);
}

}  // namespace

Result<std::unique_ptr<WriteQueue>> make_uring_queue(unsigned in_flight_max) {
  if (in_flight_max == 0 || in_flight_max > k_uring_in_flight_max) {
    return fail(ErrorCode::invalid_argument, "requests in flight: " + std::to_string(in_flight_max) +
                                                 " is not between 1 and " + std::to_string(k_uring_in_flight_max));
  }
  auto queue = std::make_unique<UringQueue>(in_flight_max);
  if (auto ready = queue->set_up(); !ready) return std::unexpected(std::move(ready).error());
  return queue;
}

}  // namespace actable::base
