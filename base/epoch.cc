#include "base/epoch.h"

#include "base/park.h"
#include "base/simulation.h"

#include <algorithm>
#include <chrono>

namespace actable::base {
namespace {

constexpr Seq k_lease_min = 32;
// One addition to the shared word for each 1,024 writes: measured, one for each
// write costs a third of the throughput of two threads.
constexpr Seq k_lease_max = 1024;

}  // namespace

Seq Epochs::draw_slowly(Slot& slot, Epoch pinned, Seq floor) noexcept {
  Lease& lease = slot.lease;
  const Seq next = std::max(lease.next, floor + 1);
  if (lease.epoch >= pinned && next < lease.end) {
    lease.next = next + 1;
    return next;
  }
  const bool used_up = lease.next >= lease.end;
  lease.length = used_up ? std::min(lease.length * 2, k_lease_max) : k_lease_min;
  ACTABLE_PARK("epoch.lease");
  // acq_rel: the records whose numbers are in `floor` were leased before; the
  // order of additions to this word is the order of all leases.
  const Seq first = word_.fetch_add(lease.length, std::memory_order_acq_rel);
  lease.epoch = epoch_of(first);
  lease.next = first + 1;
  lease.end = first + lease.length;
  return first;
}

Seq Epochs::bump() noexcept {
  constexpr Seq k_step = first_seq_of(1);
  // seq_cst: the announcements' confirming loads must not slip past it.
  return word_.fetch_add(k_step, std::memory_order_seq_cst) + k_step;
}

bool Epochs::writers_before(Epoch epoch) const noexcept {
  return !slots_.all_of([epoch](const Slot& slot) {
    // acquire: pairs with the unpin, so that what was staged is seen.
    const Epoch announced = slot.write.load(std::memory_order_acquire);
    return announced == 0 || announced >= epoch;
  });
}

Epoch Epochs::oldest_pin() const noexcept {
  Epoch oldest = now();
  slots_.for_each([&oldest](const Slot& slot) {
    // acquire: pairs with the unpins; what the thread read was read before.
    const Epoch read = slot.read.load(std::memory_order_acquire);
    const Epoch write = slot.write.load(std::memory_order_acquire);
    if (read != 0) oldest = std::min(oldest, read);
    if (write != 0) oldest = std::min(oldest, write);
  });
  return oldest;
}

void Epochs::raise_safe(Epoch epoch) noexcept {
  const Epoch reached = std::min(epoch, oldest_pin());
  Epoch before = safe_.load(std::memory_order_relaxed);
  // release: hands on the unpins that the scan acquired. acquire on failure is
  // not needed: the value alone is compared.
  while (before < reached && !safe_.compare_exchange_weak(before, reached, std::memory_order_acq_rel)) {
  }
}

Seq Epochs::restart_at(Seq seq) noexcept {
  const Seq at = std::max(seq, next_seq());
  word_.store(at, std::memory_order_release);
  replaying_.store(false, std::memory_order_release);
  return at;
}

bool Epochs::advance_seldom() noexcept {
  constexpr std::int64_t k_interval = Clock::duration(std::chrono::milliseconds(1)).count();
  const std::int64_t now = Clock::now().time_since_epoch().count();
  std::int64_t before = advanced_at_.load(std::memory_order_relaxed);
  if (now - before < k_interval) return false;
  // relaxed: elects one thread; nothing is published by it.
  if (!advanced_at_.compare_exchange_strong(before, now, std::memory_order_relaxed)) return false;
  advance();
  return true;
}

void Epochs::advance() noexcept {
  ACTABLE_PARK("epoch.before_advance");
  const Epoch epoch = epoch_of(bump());
  heavy_fence();
  ACTABLE_PARK("epoch.before_scan");
  raise_safe(epoch);
}

}  // namespace actable::base
