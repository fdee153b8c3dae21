#include "store/sampler.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace actable::store {
namespace {

/// The generator of Marsaglia, "Xorshift RNGs" (2003), times a constant (Vigna,
/// 2016). `state` is not 0.
[[nodiscard]] std::uint64_t draw(std::uint64_t& state) noexcept {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1d;
}

/// A number below `end`.
[[nodiscard]] std::uint32_t draw_below(std::uint64_t& state, std::uint32_t end) noexcept {
  return static_cast<std::uint32_t>(((draw(state) >> 32) * end) >> 32);
}

}  // namespace

bool Sampler::begin(SamplingState& state) const noexcept {
  const unsigned every = Sampler::every();
  if (every != 0 && state.weight == every) return true;
  // It was another number before, or none.
  if (every != 0) {
    next_run(state, every);
  } else {
    state.weight = 0;
    state.countdown = k_look_again;
  }
  return false;
}

void Sampler::next(SamplingState& state) const noexcept {
  if (--state.run_left != 0) {
    state.countdown = 1;
  } else {
    next_run(state, state.weight);
  }
}

void Sampler::next_run(SamplingState& state, unsigned every) const noexcept {
  // The address differs from thread to thread, and nothing hangs on it.
  if (state.random == 0) state.random = reinterpret_cast<std::uintptr_t>(&state) * 0x9e3779b97f4a7c15u | 1;
  state.run_left = k_run;
  state.weight = every;
  // Of k_run * every operations k_run are in the run. The gap before it is even
  // from none to twice the rest.
  state.countdown = static_cast<std::int32_t>(1 + draw_below(state.random, 2 * k_run * (every - 1) + 1));
}

void Sampler::add(SamplingState& state, const Sample& sample) noexcept {
  SampleSink& sink = *sink_.load(std::memory_order_acquire);
  // acq_rel: whoever had the batch before has done with it, and whoever has it
  // afterwards sees what is written here.
  SampleBatch* batch = state.batch.exchange(nullptr, std::memory_order_acq_rel);
  if (batch == nullptr) batch = sink.exchange(nullptr);
  if (batch == nullptr) {
    sink.dropped();
    return;
  }
  batch->samples[batch->count++] = sample;
  if (batch->count == SampleBatch::k_capacity) batch = sink.exchange(batch);
  // Null, if the sink had none; and so is what is there: only this thread puts
  // a batch of its own in.
  state.batch.store(batch, std::memory_order_release);
}

void Sampler::collect(SamplingState& state) noexcept {
  SampleSink* const sink = sink_.load(std::memory_order_acquire);
  if (sink == nullptr || state.batch.load(std::memory_order_relaxed) == nullptr) return;
  if (SampleBatch* const batch = state.batch.exchange(nullptr, std::memory_order_acq_rel)) sink->take(batch);
}

SampledCall::SampledCall(Sampler& sampler, SamplingState& state, std::size_t first) noexcept
    : sampler_(sampler), state_(state), first_(first), active_(sampler.begin(state)) {
  if (!active_) return;
  state_.countdown = std::numeric_limits<std::int32_t>::max();
  begin_ = base::Clock::now();
}

SampledCall::~SampledCall() {
  if (active_) state_.countdown = countdown_;
}

void SampledCall::add(const What& what) noexcept {
  constexpr std::int64_t k_longest = std::numeric_limits<std::uint32_t>::max();
  const std::int64_t latency = std::chrono::nanoseconds(end_ - begin_).count();
  Sample sample{
      .time = std::chrono::nanoseconds(end_.time_since_epoch()).count(),
      .hash = what.hash,
      .space = what.space,
      .weight = state_.weight,
      .latency = decltype(Sample::latency)(static_cast<std::uint32_t>(std::clamp<std::int64_t>(latency, 0, k_longest))),
      .value_bytes = static_cast<std::uint32_t>(what.value_bytes),
      .key_bytes = static_cast<std::uint16_t>(what.key.size()),
      .shown_bytes = static_cast<std::uint8_t>(std::min(what.key.size(), Sample::k_shown_bytes_max)),
      .operation = what.operation,
      .successful = what.successful,
      .begins_run = state_.run_left == Sampler::k_run,
      .shown = {}};
  std::memcpy(sample.shown.data(), what.key.data(), sample.shown_bytes);
  sampler_.add(state_, sample);
  sampler_.next(state_);
}

}  // namespace actable::store
