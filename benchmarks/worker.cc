#include "benchmarks/worker.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace bench {

namespace {

/// Keys and values that are prepared at once, small enough to stay in the
/// nearest cache, large values excepted.
constexpr std::size_t k_slots_max = 64;
/// Where each operation may take long: `stop` is looked at between blocks.
constexpr std::size_t k_timed_slots_max = 16;
constexpr std::size_t k_prepared_bytes_max = std::size_t{16} << 10;

/// A wait longer than this gives the processor to whoever needs it.
constexpr double k_sleep_s = 100e-6;

KeyBlock::Shape shape_of(const WorkerOptions& options) {
  const std::size_t slots = options.batch != 0 ? options.batch
                            : options.together > 1
                                ? options.together
                                : std::clamp<std::size_t>(k_prepared_bytes_max / options.value_bytes, 1,
                                                          options.samples ? k_slots_max : k_timed_slots_max);
  return {slots, options.key_bytes, options.value_bytes};
}

}  // namespace

Worker::Worker(WorkerOptions options, std::unique_ptr<Session> session, Plan plan, std::string_view noise)
    : options_(options),
      session_(std::move(session)),
      plan_(std::move(plan)),
      clock_(Clock::get()),
      block_(shape_of(options), noise),
      batch_keys_(options.batch),
      batch_values_(options.batch) {
  value_.reserve(options.value_bytes);
  if (options.together > 1) results_.resize(block_.slots());
  for (std::size_t i = 0; i < options.batch; ++i) batch_keys_[i] = block_.key(i);
}

void Worker::run(const std::atomic<bool>& stop) {
  begin();
  while (advance(stop, options_.limit)) {
  }
}

void Worker::begin() {
  began_ = clock_.ticks();
  intended_ = static_cast<double>(began_) + options_.delay_ticks;
}

bool Worker::advance(const std::atomic<bool>& stop, std::uint64_t operations) {
  const std::uint64_t until = count_ + std::min(operations, options_.limit - count_);
  // relaxed: a flag alone, nothing is read because of it.
  while (count_ < until && !stop.load(std::memory_order_relaxed)) {
    const std::size_t count = prepare();
    if (options_.batch != 0) {
      run_batch(count);
    } else if (options_.pace_ticks > 0) {
      run_paced(count);
    } else if (options_.together > 1) {
      run_together(count);
    } else if (options_.samples) {
      run_sampled(count);
    } else {
      run_timed(count);
    }
    count_ += count;
    // relaxed: a figure for the progress line.
    published_.store(count_, std::memory_order_relaxed);
  }
  ended_ = clock_.ticks();
  return count_ < options_.limit && !stop.load(std::memory_order_relaxed);
}

/// Writes the next keys and values; returns how many: fewer where the plan ends.
std::size_t Worker::prepare() {
  const std::span<const Step> all = std::as_const(plan_).steps();
  const std::span<const Step> steps = all.subspan(
      position_, std::min<std::uint64_t>({block_.slots(), all.size() - position_, options_.limit - count_}));
  const std::span<const KeyBlock::Slot> slots = block_.slots(0, steps.size());
  for (std::size_t slot = 0; slot < steps.size(); ++slot) slots[slot].set(steps[slot].digits);
  steps_ = steps.data();
  position_ = position_ + steps.size() == all.size() ? 0 : position_ + steps.size();
  return steps.size();
}

[[gnu::always_inline]] inline void Worker::expect_value(std::size_t slot) {
  if (!session_->get(block_.key(slot), value_)) fail(slot, "is missing");
  if (!block_.matches(slot, value_)) fail(slot, "has the value of another key");
}

[[gnu::always_inline]] inline void Worker::apply(std::size_t slot) {
  switch (steps_[slot].kind) {
    case Kind::read:
      expect_value(slot);
      break;
    case Kind::read_missing:
      if (session_->get(block_.key(slot), value_)) fail(slot, "is there, though nobody put it");
      break;
    case Kind::put:
      session_->put(block_.key(slot), block_.value(slot));
      break;
    case Kind::erase:
      if (!session_->erase(block_.key(slot))) fail(slot, "to be erased is missing");
      break;
    case Kind::read_modify_write:
      expect_value(slot);
      session_->put(block_.key(slot), block_.value(slot));
      break;
  }
}

/// As `apply` from the one slot up to the other.
inline void Worker::apply_each(std::size_t first, std::size_t end) {
  if (plan_.only() == Kind::read) {
    const std::size_t found = session_->get_each(block_.slots(first, end), value_);
    if (first + found == end) return;
    // Once more, to say what is wrong with it.
    expect_value(first + found);
    fail(first + found, "was missing or had the value of another key a moment ago");
  } else if (plan_.only() == Kind::put) {
    session_->put_each(block_.slots(first, end));
  } else {
    for (std::size_t slot = first; slot < end; ++slot) apply(slot);
  }
}

void Worker::run_sampled(std::size_t count) {
  for (std::size_t slot = 0; slot < count;) {
    const std::size_t untimed = std::min<std::size_t>(count - slot, until_sample_);
    apply_each(slot, slot + untimed);
    slot += untimed;
    until_sample_ -= untimed;
    if (slot == count) return;
    until_sample_ = k_sample_every - 1;
    const std::uint64_t start = clock_.ticks();
    apply(slot++);
    latency_.record(clock_.ticks() - start);
  }
}

void Worker::run_timed(std::size_t count) {
  for (std::size_t slot = 0; slot < count; ++slot) {
    const std::uint64_t start = clock_.ticks();
    apply(slot);
    latency_.record(clock_.ticks() - start);
  }
}

void Worker::run_paced(std::size_t count) {
  for (std::size_t slot = 0; slot < count; ++slot) {
    const auto intended = static_cast<std::uint64_t>(intended_);
    intended_ += options_.pace_ticks;
    wait_until(intended);
    apply(slot);
    latency_.record(clock_.ticks() - intended);
  }
}

void Worker::run_batch(std::size_t count) {
  auto start = static_cast<std::uint64_t>(intended_);
  if (options_.pace_ticks > 0) {
    intended_ += options_.pace_ticks * static_cast<double>(count);
    wait_until(start);
  } else {
    start = clock_.ticks();
  }
  session_->multi_get(std::span(batch_keys_).first(count), std::span(batch_values_).first(count));
  latency_.record(clock_.ticks() - start);
  for (std::size_t slot = 0; slot < count; ++slot) {
    if (!batch_values_[slot]) fail(slot, "is missing");
    if (!block_.matches(slot, *batch_values_[slot])) fail(slot, "has the value of another key");
  }
}

/// What is read, changed and put back is two times over: no put may be sent
/// before its get is answered.
void Worker::run_together(std::size_t count) {
  const std::uint64_t start = clock_.ticks();
  const auto add = [this](std::size_t slot, Verb verb) {
    calls_.push_back({.verb = verb, .key = block_.key(slot), .value = block_.value(slot), .result = &results_[slot]});
    call_slots_.push_back(slot);
  };
  bool puts_back = false;
  for (std::size_t slot = 0; slot < count; ++slot) {
    const Kind kind = steps_[slot].kind;
    puts_back |= kind == Kind::read_modify_write;
    add(slot, kind == Kind::put ? Verb::put : kind == Kind::erase ? Verb::erase : Verb::get);
  }
  hand_over();
  for (std::size_t slot = 0; puts_back && slot < count; ++slot) {
    if (steps_[slot].kind == Kind::read_modify_write) add(slot, Verb::put);
  }
  if (puts_back) hand_over();
  latency_.record(clock_.ticks() - start);
}

void Worker::hand_over() {
  session_->apply(calls_);
  expect_results();
  calls_.clear();
  call_slots_.clear();
}

void Worker::expect_results() {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    const std::size_t slot = call_slots_[i];
    if (call.verb == Verb::put) continue;
    if (steps_[slot].kind == Kind::read_missing) {
      if (call.found) fail(slot, "is there, though nobody put it");
      continue;
    }
    if (!call.found) fail(slot, call.verb == Verb::erase ? "to be erased is missing" : "is missing");
    if (call.verb == Verb::get && !block_.matches(slot, *call.result)) fail(slot, "has the value of another key");
  }
}

void Worker::wait_until(std::uint64_t intended) const {
  for (std::uint64_t now = clock_.ticks(); now < intended; now = clock_.ticks()) {
    if (clock_.ns(intended - now) > 2 * k_sleep_s * 1e9) {
      std::this_thread::sleep_for(std::chrono::duration<double>(k_sleep_s));
    }
  }
}

void Worker::fail(std::size_t slot, std::string_view what) const {
  throw Failure("wrong data: key " + std::string(block_.key(slot)) + " " + std::string(what));
}

}  // namespace bench
