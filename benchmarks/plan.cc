#include "benchmarks/plan.h"

#include "benchmarks/engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <utility>

namespace bench {

namespace {

/// Every n-th index below `keys`, beginning with the thread's own, from
/// `first` on.
void fill_share(const PlanRequest& request, std::uint32_t first, std::span<Step> steps) {
  std::uint32_t index = first + request.thread;
  for (Step& step : steps) {
    step = {index, request.workload.write};
    index += request.threads;
  }
}

void shuffle(std::span<Step> steps, Random& random) {
  for (std::size_t i = steps.size(); i > 1; --i) {
    std::swap(steps[i - 1], steps[random.below(static_cast<std::uint32_t>(i))]);
  }
}

/// How many of the keys are the thread's when each has every n-th.
std::uint32_t share_of(const PlanRequest& request) {
  return request.keys / request.threads + (request.thread < request.keys % request.threads ? 1 : 0);
}

std::size_t plan_steps(const PlanRequest& request) {
  const std::size_t steps_max = std::max<std::size_t>(k_plan_steps_max / request.threads, 1);
  return static_cast<std::size_t>(std::min<std::uint64_t>(request.steps, steps_max));
}

Kind draw_kind(const Workload& workload, Random& random) {
  return random.below(100) < workload.reads_percent ? workload.read : workload.write;
}

Plan sequential(const PlanRequest& request) {
  Plan plan(share_of(request));
  const std::uint64_t first = std::uint64_t{request.keys} / request.threads * request.thread +
                              std::min(request.thread, request.keys % request.threads);
  auto index = static_cast<std::uint32_t>(first);
  for (Step& step : plan.steps()) step = {index++, request.workload.write};
  return plan;
}

Plan shuffled(const PlanRequest& request, Random& random) {
  Plan plan(share_of(request));
  fill_share(request, 0, plan.steps());
  shuffle(plan.steps(), random);
  return plan;
}

Plan drawn(const PlanRequest& request, Random& random) {
  Plan plan(plan_steps(request));
  for (Step& step : plan.steps()) {
    step.index = request.zipf ? request.zipf->scrambled(random) : random.below(request.keys);
    step.kind = draw_kind(request.workload, random);
  }
  return plan;
}

/// A thread inserts keys of its own above all others, and reads back from the
/// newest of them into what was loaded, the newest most often.
Plan latest(const PlanRequest& request, Random& random) {
  Plan plan(plan_steps(request));
  std::uint32_t inserted = 0;
  const auto own_key = [&](std::uint32_t n) { return request.keys + request.thread + n * request.threads; };
  for (Step& step : plan.steps()) {
    step.kind = draw_kind(request.workload, random);
    if (step.kind == request.workload.write) {
      step.index = own_key(inserted++);
      continue;
    }
    const std::uint32_t back = request.zipf ? request.zipf->rank(random) : random.below(request.keys);
    step.index = back < inserted ? own_key(inserted - 1 - back) : request.keys - 1 - (back - inserted);
  }
  return plan;
}

/// The thread's share of twice the keys in a ring, of which one half is in the
/// store: a put before the half, an erase at its end, one step round. After a
/// whole round everything is as it was, so the plan can be repeated.
Plan pairs(const PlanRequest& request, Random& random) {
  const std::size_t half = share_of(request);
  Plan ring(2 * half);
  fill_share(request, 0, ring.steps().first(half));
  fill_share(request, request.keys, ring.steps().last(half));
  shuffle(ring.steps().first(half), random);
  shuffle(ring.steps().last(half), random);

  Plan plan(2 * ring.steps().size());
  for (std::size_t i = 0; i < 2 * half; ++i) {
    plan.steps()[2 * i] = {ring.steps()[(i + half) % (2 * half)].index, Kind::put};
    plan.steps()[2 * i + 1] = {ring.steps()[i].index, Kind::erase};
  }
  return plan;
}

Plan draw(const PlanRequest& request, Random& random) {
  switch (request.workload.order) {
    case Order::sequential:
      return sequential(request);
    case Order::shuffled:
      return shuffled(request, random);
    case Order::drawn:
      return drawn(request, random);
    case Order::latest:
      return latest(request, random);
    case Order::pairs:
      return pairs(request, random);
  }
  return Plan(0);
}

}  // namespace

Plan::Plan(std::size_t steps) : size_(steps) {
  if (steps == 0) return;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
  void* memory = ::mmap(nullptr, steps * sizeof(Step), PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    throw Failure("no memory to draw " + std::to_string(steps) + " operations beforehand; choose fewer --ops");
  }
  steps_ = static_cast<Step*>(memory);
}

Plan::Plan(Plan&& other) noexcept
    : steps_(std::exchange(other.steps_, nullptr)), size_(std::exchange(other.size_, 0)), only_(other.only_) {}

Plan::~Plan() {
  if (steps_ != nullptr) ::munmap(steps_, size_ * sizeof(Step));
}

Plan draw_plan(const PlanRequest& request) {
  Random random(request.seed);
  Plan plan = draw(request, random);
  bool alike = true;
  for (Step& step : plan.steps()) {
    step.digits = hex_word(step.key_number());
    alike &= step.kind == plan.steps().front().kind;
  }
  if (alike && !plan.steps().empty()) plan.set_only(plan.steps().front().kind);
  return plan;
}

}  // namespace bench
