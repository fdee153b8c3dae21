#include "tests/support/scheduler.h"

#include "base/assert.h"
#include "base/park.h"
#include "base/thread_index.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace actable::test {
namespace {

constexpr std::size_t k_notes_max = 400;

}  // namespace

struct Scheduler::Member {
  std::size_t number = 0;
  std::binary_semaphore baton{0};
  bool ended = false;
  bool is_log = false;
  // Null: can run.
  const std::function<bool()>* ready = nullptr;
  std::optional<base::TimePoint> until;
};

namespace {

// Of the calling thread; null for one that belongs to no simulation. The type
// is the scheduler's own.
thread_local void* t_member = nullptr;

}  // namespace

Scheduler::Scheduler(std::uint64_t seed, std::uint64_t switch_one_in, std::chrono::nanoseconds step_time)
    : switch_one_in_(switch_one_in), step_time_(step_time), random_(seed) {
  base::park::simulate(this);
}

Scheduler::~Scheduler() { base::park::simulate(nullptr); }

void Scheduler::note(std::string_view what) {
  for (const char c : what) trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  if (print_) {
    std::printf("%12lld %.*s\n", static_cast<long long>(now_.time_since_epoch().count() % 1'000'000'000'000),
                static_cast<int>(what.size()), what.data());
  }
  if (notes_.size() == 2 * k_notes_max) {
    notes_.erase(notes_.begin(), notes_.begin() + static_cast<std::ptrdiff_t>(k_notes_max));
  }
  notes_.emplace_back(what);
}

std::string Scheduler::trace() const {
  std::string text;
  for (const std::string& line : notes_) text += line + "\n";
  return text;
}

void Scheduler::fail(const std::string& why) const {
  // Several legs are simulated; their programs are named lab_NAME.
  const char* const leg = std::strchr(program_invocation_short_name, '_');
  std::printf("%s: FOUND: %s\nWhat led to it:\n%s%s\n", leg == nullptr ? "simulation" : leg + 1, why.c_str(),
              trace().c_str(), context_.c_str());
  std::fflush(stdout);
  std::_Exit(1);
}

/// Whoever is to run next; lets devices work and the clock go on until there is one.
Scheduler::Member& Scheduler::pick() {
  while (true) {
    std::vector<Member*> can_run;
    std::optional<base::TimePoint> soonest;
    for (const auto& member : members_) {
      if (member->ended) continue;
      const bool timed_out = member->until && *member->until <= now_;
      if (member->ready == nullptr || timed_out || (*member->ready)()) {
        can_run.push_back(member.get());
      } else if (member->until && (!soonest || *member->until < *soonest)) {
        soonest = member->until;
      }
    }
    std::vector<Device*> can_work;
    std::ranges::copy_if(devices_, std::back_inserter(can_work), &Device::has_work);
    const std::size_t choices = can_run.size() + can_work.size();
    if (choices == 0) {
      if (!soonest) fail("a deadlock: nobody can run, and nobody waits for a time");
      now_ = *soonest;
      continue;
    }
    const auto chosen = static_cast<std::size_t>(random_.below(choices));
    if (chosen < can_run.size()) return *can_run[chosen];
    can_work[chosen - can_run.size()]->work(random_);
    now_ += step_time_;
  }
}

void Scheduler::give_baton(Member& to) { to.baton.release(); }

void Scheduler::pass_baton(Member& self) {
  Member& next = pick();
  if (&next == &self) return;
  give_baton(next);
  self.baton.acquire();
}

/// A thread that the store has started waits for its first turn.
void Scheduler::arrive() {
  auto self = std::make_unique<Member>();
  self->is_log = true;
  Member& member = *self;
  t_member = &member;
  {
    const std::lock_guard lock(arrival_mutex_);
    arriving_ = std::move(self);
    arrived_.notify_one();
  }
  member.baton.acquire();
}

/// The thread that started another one takes it in.
void Scheduler::wait_for_arrival() {
  std::unique_lock lock(arrival_mutex_);
  arrived_.wait(lock, [this] { return arriving_ != nullptr; });
  arriving_->number = members_.size();
  members_.push_back(std::move(arriving_));
}

void Scheduler::leave(Member& self) {
  self.ended = true;
  t_member = nullptr;
  if (std::ranges::all_of(members_, &Member::ended)) return;
  give_baton(pick());
}

void Scheduler::reach(std::string_view step) {
  auto* const self = static_cast<Member*>(t_member);
  if (self == nullptr) {
    if (step == "log.begin") arrive();
    return;
  }
  if (step == "log.end") return leave(*self);
  if (step == "log.spawned") return wait_for_arrival();
  if (step == "log.join") {
    const auto log_ended = [this] {
      return std::ranges::all_of(members_, [](const auto& member) { return !member->is_log || member->ended; });
    };
    return await(step, log_ended, std::nullopt);
  }
  // Both stand in loops that wait for others.
  if (step == "staging.full") return pause(std::chrono::milliseconds(1));
  if (step == "store.yield") return pause(std::chrono::microseconds(20));
  now_ += step_time_;
  if (!random_.one_in(switch_one_in_)) return;
  note(std::to_string(self->number) + " stops at " + std::string(step));
  pass_baton(*self);
}

void Scheduler::await(std::string_view step, const std::function<bool()>& ready, std::optional<base::TimePoint> until) {
  auto* const self = static_cast<Member*>(t_member);
  if (self == nullptr || ready()) return;
  note(std::to_string(self->number) + " waits at " + std::string(step));
  self->ready = &ready;
  self->until = until;
  pass_baton(*self);
  self->ready = nullptr;
  self->until.reset();
}

void Scheduler::pause(std::chrono::nanoseconds time) {
  await(
      "pause", [] { return false; }, now_ + time);
}

void Scheduler::live(Member& self, const std::function<void()>& work) {
  // Here and not at the first use of a store, which is when others end.
  (void)base::thread_index();
  started_.release();
  self.baton.acquire();
  t_member = &self;
  try {
    work();
  } catch (const std::exception& error) {
    fail(error.what());
  }
  leave(self);
}

void Scheduler::run(std::vector<std::function<void()>> clients) {
  members_.clear();
  std::vector<std::jthread> threads;
  for (const auto& work : clients) {
    members_.push_back(std::make_unique<Member>());
    Member& member = *members_.back();
    member.number = members_.size() - 1;
    threads.emplace_back([this, &member, &work] { live(member, work); });
    started_.acquire();
  }
  give_baton(*members_.front());
}

}  // namespace actable::test
