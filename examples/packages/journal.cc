#include "examples/packages/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "examples/packages/format.h"

namespace packages {

using actable::ErrorCode;
using actable::Result;
using actable::Seq;

namespace {

constexpr std::uint64_t k_magic = 0x6c6e'726a'2d67'6b70;
constexpr std::uint32_t k_lanes_max = 1024;

enum State : std::uint32_t { state_unset, state_writing, state_set };

auto failed(const char* what, const std::filesystem::path& path) {
  return actable::fail(ErrorCode::io_error,
                       std::string("cannot ") + what + " the journal " + path.string() + ": " + std::strerror(errno));
}

}  // namespace

/// Zero where nothing was set, as a new file is.
struct Journal::Header {
  std::uint64_t magic;
  JournalPlan plan;
  std::uint32_t opened_state;
  std::uint32_t failure_state;
  OpenedStore opened;
  std::array<char, 1024> failure;
};

/// A cache line or more apart from its neighbours.
struct Journal::Lane {
  alignas(128) std::uint64_t begun;
  alignas(128) std::array<JournalEntry, k_lane_entries> entries;
};

std::size_t Journal::file_bytes(std::uint32_t lanes) {
  static_assert(sizeof(Header) <= 4096 && alignof(Lane) <= 4096);
  return 4096 + std::size_t{lanes} * sizeof(Lane);
}

Journal::Header& Journal::header() const noexcept { return *static_cast<Header*>(memory_); }

Journal::Lane& Journal::lane(std::uint32_t number) const noexcept {
  return reinterpret_cast<Lane*>(static_cast<std::byte*>(memory_) + 4096)[number];
}

Result<Journal> Journal::map(const std::filesystem::path& path, int file, std::size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return failed("map", path);
  return Journal(memory, bytes);
}

Result<Journal> Journal::create(const std::filesystem::path& path, const JournalPlan& plan) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed("create", path);
  const std::size_t bytes = file_bytes(plan.lanes);
  if (::ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    ::close(file);
    return failed("size", path);
  }
  Result<Journal> journal = map(path, file, bytes);
  ::close(file);
  if (!journal) return journal;
  journal->header().plan = plan;
  journal->header().magic = k_magic;
  return journal;
}

Result<Journal> Journal::open(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return failed("open", path);
  struct stat status {};
  if (::fstat(file, &status) != 0 || static_cast<std::size_t>(status.st_size) < file_bytes(0)) {
    ::close(file);
    return actable::fail(ErrorCode::corrupt, path.string() + " is not a journal: let packages-job make it");
  }
  const auto bytes = static_cast<std::size_t>(status.st_size);
  Result<Journal> journal = map(path, file, bytes);
  ::close(file);
  if (!journal) return journal;
  const Header& header = journal->header();
  if (header.magic != k_magic || header.plan.lanes > k_lanes_max || bytes != file_bytes(header.plan.lanes)) {
    return actable::fail(ErrorCode::corrupt, path.string() + " is not a journal: let packages-job make it");
  }
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Journal::~Journal() {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
}

const JournalPlan& Journal::plan() const noexcept { return header().plan; }

std::uint64_t Journal::next_first_update() const noexcept {
  return plan().first_update + k_lane_entries * update_stride();
}

std::optional<Journal::Ticket> Journal::begin(std::uint32_t number, std::span<const Step> steps, bool sync) {
  Lane& own = lane(number);
  const std::uint64_t at = own.begun;
  if (at + steps.size() > k_lane_entries) return std::nullopt;
  const std::int64_t now_ns = Clock::now().time_since_epoch() / std::chrono::nanoseconds{1};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    own.entries[at + i] = {.seq = 0,
                           .begun_ns = now_ns,
                           .package = steps[i].package,
                           .steps = i == 0 ? static_cast<std::uint16_t>(steps.size()) : std::uint16_t{0},
                           .action = steps[i].action,
                           .sync = sync};
  }
  // release: whoever sees the new count, be it after this process was killed,
  // sees the entries; pairs with the acquire in begun().
  std::atomic_ref(own.begun).store(at + steps.size(), std::memory_order_release);
  return Ticket{&own.entries[at], plan().first_update + at * update_stride() + number};
}

void Journal::finish(const Ticket& ticket, Seq seq) {
  // release: keeps the result behind the entry for a reader after the kill.
  std::atomic_ref(ticket.first->seq).store(seq, std::memory_order_release);
}

void Journal::set_opened(const OpenedStore& opened) {
  header().opened = opened;
  // release: publishes what recovery found; pairs with the acquire in opened().
  std::atomic_ref(header().opened_state).store(state_set, std::memory_order_release);
}

std::optional<OpenedStore> Journal::opened() const {
  // acquire: pairs with the release in set_opened().
  if (std::atomic_ref(header().opened_state).load(std::memory_order_acquire) != state_set) return std::nullopt;
  return header().opened;
}

void Journal::set_failure(std::string_view message) {
  std::atomic_ref state(header().failure_state);
  std::uint32_t expected = state_unset;
  // relaxed: only chooses who may write; the release below publishes.
  if (!state.compare_exchange_strong(expected, state_writing, std::memory_order_relaxed)) return;
  const std::size_t bytes = std::min(message.size(), header().failure.size() - 1);
  std::copy_n(message.data(), bytes, header().failure.data());
  // release: publishes the message; pairs with the acquire in failure().
  state.store(state_set, std::memory_order_release);
}

std::string Journal::failure() const {
  // acquire: pairs with the release in set_failure().
  if (std::atomic_ref(header().failure_state).load(std::memory_order_acquire) != state_set) return {};
  return header().failure.data();
}

std::uint64_t Journal::begun(std::uint32_t number) const {
  // acquire: pairs with the release in begin().
  return std::atomic_ref(lane(number).begun).load(std::memory_order_acquire);
}

std::uint64_t Journal::begun() const {
  std::uint64_t sum = 0;
  for (std::uint32_t number = 0; number < plan().lanes; ++number) sum += begun(number);
  return sum;
}

void Journal::for_each(const std::function<void(const Operation&)>& f) const {
  for (std::uint32_t number = 0; number < plan().lanes; ++number) {
    Lane& own = lane(number);
    const std::uint64_t end = begun(number);
    for (std::uint64_t at = 0; at < end;) {
      JournalEntry& first = own.entries[at];
      const std::size_t steps = first.steps;
      // acquire: pairs with the release in finish().
      const Seq seq = std::atomic_ref(first.seq).load(std::memory_order_acquire);
      f({.steps = {&first, steps},
         .seq = seq,
         .first_update = plan().first_update + at * update_stride() + number,
         .lane = number,
         .last_of_lane = at + steps == end});
      at += steps;
    }
  }
}

}  // namespace packages
