#include "tests/lab/environment/filling.h"

#include "tests/store/vocabulary.h"

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace actable::lab::environment {
namespace {

constexpr std::size_t k_value_bytes_long = 150'000;
constexpr std::uint64_t k_synchronous_one_in = 97;

}  // namespace

Filling::Filling(std::uint64_t seed, Lengths lengths)
    : lengths_(lengths), text_(test::sealed(seed, 4 * k_value_bytes_long)) {}

Filling::Key Filling::key(unsigned thread, std::uint64_t i) noexcept {
  Key key{};
  key.length = static_cast<std::size_t>(
      std::snprintf(key.text.data(), key.text.size(), "%u-%llu", thread, static_cast<unsigned long long>(i)));
  return key;
}

std::string_view Filling::value(unsigned thread, std::uint64_t i) const noexcept {
  test::Random random(i * k_threads + thread);
  std::size_t bytes = 8 + random.below(200);
  if (lengths_ == Lengths::mixed) {
    if (random.one_in(20)) bytes = 1'000 + random.below(10'000);
    if (random.one_in(200)) bytes = random.below(k_value_bytes_long);
  }
  return std::string_view(text_).substr(random.below(text_.size() - bytes), bytes);
}

void Filling::promised(Seq durable) const noexcept {
  const std::atomic_ref highest(told_->durable);
  // relaxed: a number by itself, read when the writers have ended
  std::uint64_t before = highest.load(std::memory_order_relaxed);
  while (before < durable && !highest.compare_exchange_weak(before, durable, std::memory_order_relaxed)) {
  }
}

void Filling::write(Store& store, unsigned thread, std::uint64_t writes,
                    const std::function<bool(const Error&)>& stops) {
  Space space = test::must(store.space(space_name()));
  for (std::uint64_t i = 0; i < std::min(writes, k_writes_max); ++i) {
    const std::atomic_ref number(told_->numbers[thread][i]);
    const bool synchronous = i % k_synchronous_one_in == 0;
    // relaxed: read when this process has ended, in which the stores cannot be seen out of order
    number.store(k_begun, std::memory_order_relaxed);
    const auto put = space.put(key(thread, i).view(), value(thread, i), synchronous ? test::k_sync : WriteOptions{});
    if (put) {
      number.store(*put, std::memory_order_relaxed);
      promised(synchronous ? *put : store.durable_seq());
      continue;
    }
    if (put.error().refused()) number.store(k_refused, std::memory_order_relaxed);
    if (stops(put.error())) break;
  }
}

bool Filling::holds(const Space& space, unsigned thread, std::uint64_t i) const {
  bool same = false;
  const std::string_view due = value(thread, i);
  const auto found = space.visit(key(thread, i).view(), [&](const Entry& entry) { same = entry.value == due; });
  return found && *found && same;
}

std::uint64_t Filling::written() const noexcept {
  std::uint64_t count = 0;
  for (const auto& thread : told_->numbers) {
    const auto end = std::ranges::find(thread, k_none);
    count += static_cast<std::uint64_t>(
        std::count_if(thread.begin(), end, [](Seq number) { return number != k_begun && number != k_refused; }));
  }
  return count;
}

void Filling::check_readable(Space& space) const {
  for (unsigned thread = 0; thread < k_threads; ++thread) {
    for (std::uint64_t i = 0; i < k_writes_max; ++i) {
      const Seq number = told_->numbers[thread][i];
      if (number == k_none) break;
      if (number == k_begun || number == k_refused) continue;
      if (!holds(space, thread, i)) throw Found("a write that returned cannot be read");
    }
  }
}

void Filling::check_prefix(Store& store, Seq cut, Scenario& scenario) const {
  Space space = test::must(store.space(space_name()));
  scenario.check(told_->durable < cut || told_->durable == 0, "what was reported durable, up to " +
                                                                  std::to_string(told_->durable) +
                                                                  ", is not below the cut " + std::to_string(cut));
  std::size_t there = 0;
  for (unsigned thread = 0; thread < k_threads; ++thread) {
    for (std::uint64_t i = 0; i < k_writes_max; ++i) {
      const Seq number = told_->numbers[thread][i];
      if (number == k_none) break;
      const auto record = test::held(space, key(thread, i).view());
      const std::string what = "write " + std::string(key(thread, i).view());
      if (record) {
        ++there;
        scenario.check(record->value == value(thread, i), what + " came back with another value");
        scenario.check(record->seq < cut, what + " came back and is not below the cut");
        scenario.check(number != k_refused, what + " was refused and came back");
      }
      if (number == k_refused || number == k_begun) continue;
      scenario.check(record.has_value() == (number < cut), what + ", number " + std::to_string(number) +
                                                               (record ? " is there" : " is missing") +
                                                               " though the cut is " + std::to_string(cut));
    }
  }
  scenario.check(space.size() == there, "there are keys that nobody wrote");
}

}  // namespace actable::lab::environment
