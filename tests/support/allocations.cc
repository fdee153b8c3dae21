#include "tests/support/allocations.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <new>

namespace actable::test::allocations {
namespace {

// relaxed throughout: one thread at a time runs (tests/support/scheduler.h), or one alone
// is counted.
constinit std::atomic<std::uint64_t> g_count{0};
constinit std::atomic<std::uint64_t> g_failed{0};
constinit std::atomic<std::uint64_t> g_first{0};
constinit std::atomic<std::uint64_t> g_last{0};
constinit std::atomic<std::int64_t> g_live{0};
constinit std::atomic<std::int64_t> g_mappings{0};

std::function<void(std::uint64_t)>& watcher() {
  static std::function<void(std::uint64_t)> instance;
  return instance;
}

/// Counts an allocation. True when it is to fail.
bool fails() {
  if (detail::t_counted == 0 || detail::t_spared != 0) return false;
  const std::uint64_t number = g_count.fetch_add(1, std::memory_order_relaxed) + 1;
  if (number < g_first.load(std::memory_order_relaxed) || number > g_last.load(std::memory_order_relaxed)) return false;
  g_failed.fetch_add(1, std::memory_order_relaxed);
  const Spared spared;
  if (watcher()) watcher()(number);
  return true;
}

void* taken(void* memory) noexcept {
  if (memory != nullptr) g_live.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void* aligned(std::size_t alignment, std::size_t bytes) noexcept {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes) == 0 ? memory : nullptr;
}

}  // namespace

void reset() noexcept {
  heal();
  g_count.store(0, std::memory_order_relaxed);
  g_failed.store(0, std::memory_order_relaxed);
}

void fail(std::uint64_t nth, bool for_good) noexcept {
  g_first.store(nth, std::memory_order_relaxed);
  g_last.store(for_good ? std::numeric_limits<std::uint64_t>::max() : nth, std::memory_order_relaxed);
}

void heal() noexcept { g_last.store(0, std::memory_order_relaxed); }

std::uint64_t count() noexcept { return g_count.load(std::memory_order_relaxed); }
std::uint64_t failed() noexcept { return g_failed.load(std::memory_order_relaxed); }
std::int64_t live() noexcept { return g_live.load(std::memory_order_relaxed); }
std::int64_t mappings() noexcept { return g_mappings.load(std::memory_order_relaxed); }
void watch(std::function<void(std::uint64_t)> to_call) { watcher() = std::move(to_call); }

namespace detail {

void* allocate(std::size_t bytes) noexcept { return fails() ? nullptr : taken(std::malloc(bytes == 0 ? 1 : bytes)); }

void* allocate(std::size_t bytes, std::align_val_t alignment) noexcept {
  return fails() ? nullptr : taken(aligned(static_cast<std::size_t>(alignment), bytes == 0 ? 1 : bytes));
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  g_live.fetch_sub(1, std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace detail
}  // namespace actable::test::allocations

namespace memory = actable::test::allocations;

void* operator new(std::size_t bytes) { return memory::detail::or_throw(memory::detail::allocate(bytes)); }
void* operator new[](std::size_t bytes) { return memory::detail::or_throw(memory::detail::allocate(bytes)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return memory::detail::allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return memory::detail::allocate(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return memory::detail::or_throw(memory::detail::allocate(bytes, alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return memory::detail::or_throw(memory::detail::allocate(bytes, alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return memory::detail::allocate(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return memory::detail::allocate(bytes, alignment);
}
void operator delete(void* at) noexcept { memory::detail::release(at); }
void operator delete[](void* at) noexcept { memory::detail::release(at); }
void operator delete(void* at, std::size_t) noexcept { memory::detail::release(at); }
void operator delete[](void* at, std::size_t) noexcept { memory::detail::release(at); }
void operator delete(void* at, std::align_val_t) noexcept { memory::detail::release(at); }
void operator delete[](void* at, std::align_val_t) noexcept { memory::detail::release(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { memory::detail::release(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { memory::detail::release(at); }

extern "C" {

// What comes from it is freed by `free`, so it is not among what is live.
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  if (actable::test::allocations::fails()) return nullptr;
  return actable::test::allocations::aligned(alignment, bytes);
}

void* mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  if (actable::test::allocations::fails()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): there is no other way round this name
  const long mapped = syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
  if (mapped != -1) {
    actable::test::allocations::taken(reinterpret_cast<void*>(mapped));
    actable::test::allocations::g_mappings.fetch_add(1, std::memory_order_relaxed);
  }
  return reinterpret_cast<void*>(mapped);
}

int munmap(void* at, std::size_t bytes) noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg)
  const long done = syscall(SYS_munmap, at, bytes);
  if (done == 0) {
    actable::test::allocations::g_live.fetch_sub(1, std::memory_order_relaxed);
    actable::test::allocations::g_mappings.fetch_sub(1, std::memory_order_relaxed);
  }
  return static_cast<int>(done);
}

}  // extern "C"
