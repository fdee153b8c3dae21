#include "tests/lab/fuzz/memory_meter.h"

#include "tests/lab/fuzz/expect.h"

#include <algorithm>
#include <atomic>
#include <string>

#include <sanitizer/allocator_interface.h>

namespace actable::lab::fuzz {
namespace {

// relaxed: figures that nothing else depends on.
std::atomic<std::ptrdiff_t> held{0};
std::atomic<std::ptrdiff_t> held_max{0};
std::atomic<std::ptrdiff_t> held_at_start{0};

void on_malloc(const volatile void*, std::size_t bytes) {
  const std::ptrdiff_t now = held.fetch_add(static_cast<std::ptrdiff_t>(bytes), std::memory_order_relaxed) +
                             static_cast<std::ptrdiff_t>(bytes);
  std::ptrdiff_t seen = held_max.load(std::memory_order_relaxed);
  while (seen < now && !held_max.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}

void on_free(const volatile void* memory) {
  if (memory == nullptr) return;
  held.fetch_sub(static_cast<std::ptrdiff_t>(__sanitizer_get_allocated_size(memory)), std::memory_order_relaxed);
}

}  // namespace

MemoryMeter::MemoryMeter() noexcept {
  static const bool hooked = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
  (void)hooked;
  held_at_start.store(held.load(std::memory_order_relaxed), std::memory_order_relaxed);
  held_max.store(held_at_start.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

std::size_t MemoryMeter::peak() const noexcept {
  const std::ptrdiff_t beyond =
      held_max.load(std::memory_order_relaxed) - held_at_start.load(std::memory_order_relaxed);
  return static_cast<std::size_t>(std::max<std::ptrdiff_t>(beyond, 0));
}

void MemoryMeter::expect_within(std::size_t input_bytes, std::size_t factor, std::size_t base) const {
  expect(peak() <= base + factor * input_bytes,
         std::to_string(peak()) + " bytes of memory for an input of " + std::to_string(input_bytes));
}

}  // namespace actable::lab::fuzz
