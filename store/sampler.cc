#include "store/sampler.h"

#include "store/catalog.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

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
    state.before_next = k_look_again - 1;
  }
  return false;
}

void Sampler::next(SamplingState& state) const noexcept {
  if (--state.run_left != 0) {
    state.before_next = 0;
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
  state.before_next = static_cast<std::int32_t>(draw_below(state.random, 2 * k_run * (every - 1) + 1));
}

void Sampler::add(SamplingState& state, const Sample& sample) noexcept {
  // What the store does with its own catalog is nothing that its users do.
  if (sample.space == k_catalog_id) return;
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

namespace {

[[nodiscard]] Sample begun(const SampledOperation::What& what, const SamplingState& state) noexcept {
  Sample sample{.hash = what.hash,
                .space = what.space,
                .weight = state.weight,
                .key_bytes = static_cast<std::uint16_t>(what.key.size()),
                .shown_bytes = static_cast<std::uint8_t>(std::min(what.key.size(), Sample::k_shown_bytes_max)),
                .operation = what.operation,
                .begins_run = state.run_left == Sampler::k_run,
                .shown = {}};
  std::memcpy(sample.shown.data(), what.key.data(), sample.shown_bytes);
  return sample;
}

void finish(Sample& sample, base::TimePoint begin, base::TimePoint end,
            const SampledOperation::Outcome& outcome) noexcept {
  constexpr std::int64_t k_longest = std::numeric_limits<std::uint32_t>::max();
  const std::int64_t latency = std::chrono::nanoseconds(end - begin).count();
  sample.time = std::chrono::nanoseconds(end.time_since_epoch()).count();
  sample.latency =
      decltype(Sample::latency)(static_cast<std::uint32_t>(std::clamp<std::int64_t>(latency, 0, k_longest)));
  sample.successful = outcome.successful;
  sample.has_value = outcome.value_bytes.has_value();
  sample.value_bytes = static_cast<std::uint32_t>(outcome.value_bytes.value_or(0));
}

}  // namespace

SampledOperation::SampledOperation(Sampler& sampler, SamplingState& state, const What& what) noexcept
    : sampler_(sampler), state_(state), active_(sampler.begin(state)) {
  if (!active_) return;
  sample_ = begun(what, state);
  sampler.next(state);
  begin_ = base::Clock::now();
}

void SampledOperation::succeeded(const Outcome& outcome) noexcept {
  if (!active_) return;
  finish(sample_, begin_, base::Clock::now(), outcome);
  sampler_.add(state_, sample_);
}

void SampledCall::take(std::size_t at, const What& what) noexcept {
  if (places_.size() == k_samples_max) return sampler_.drop();
  try {
    places_.push_back({at, begun(what, state_)});
  } catch (const std::bad_alloc&) {
    sampler_.drop();
  }
}

void SampledCall::add(const Place& place, base::TimePoint end, const Outcome& outcome) noexcept {
  Sample sample = place.sample;
  finish(sample, begin_, end, outcome);
  sampler_.add(state_, sample);
}

}  // namespace actable::store
