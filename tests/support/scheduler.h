#pragma once

#include "base/simulation.h"
#include "tests/support/seed.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace actable::test {

/// Something beside the threads that does its work when the scheduler says so:
/// a disk that carries out a request.
///
/// Thread safety: *confined* to whoever runs.
class Device {
 public:
  Device() = default;
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  [[nodiscard]] virtual bool has_work() const = 0;
  virtual void work(Random& random) = 0;
};

/// Runs threads one at a time, and lets a seed decide which goes on: at every
/// named step (base/park.h), at every wait, and at the pace of a clock that is
/// its own. A run with the same clients and seed is the same run.
///
/// Clients are threads that it starts; the log's thread joins when the store
/// starts it. Whoever runs holds the *baton*: it alone touches the scheduler,
/// but for a new thread that arrives and waits for its turn. A thread that
/// waits gives its condition, which is looked at by whoever runs. With nobody
/// able to run, the clock goes on to the next time-out; without one, the run
/// has come to a deadlock, which ends the program with the trace.
///
/// Thread safety: *synchronized* as described.
class Scheduler final : public base::Simulation {
 public:
  static constexpr std::chrono::nanoseconds k_step_time{200};

  /// At a step the baton passes on once in `switch_one_in` times, and the clock
  /// goes on by `step_time`: with none, time passes in waits alone.
  Scheduler(std::uint64_t seed, std::uint64_t switch_one_in, std::chrono::nanoseconds step_time = k_step_time);
  ~Scheduler() override;

  /// Runs the clients, each on a thread, the first to begin. Returns when all
  /// have ended. A client that throws ends the program, with exit status 1,
  /// what it threw, the notes and `context`: the threads that it leaves behind
  /// inside a store could not be ended.
  void run(std::vector<std::function<void()>> clients);

  /// For a client: lets the clock go on by that much, and the others with it.
  void pause(std::chrono::nanoseconds time);

  void add(Device& device) { devices_.push_back(&device); }
  void remove(Device& device) { std::erase(devices_, &device); }

  [[nodiscard]] Random& random() noexcept { return random_; }

  /// Notes what happened; the hash of all notes tells two runs apart.
  void note(std::string_view what);
  [[nodiscard]] std::uint64_t trace_hash() const noexcept { return trace_hash_; }
  /// The last of the notes, for people.
  [[nodiscard]] std::string trace() const;
  void print_notes(bool print) noexcept { print_ = print; }
  /// What led here, for people.
  void context(std::string text) { context_ = std::move(text); }

  [[nodiscard]] base::TimePoint now() noexcept override { return now_; }
  [[nodiscard]] std::uint64_t random_word() override { return random_(); }
  void reach(std::string_view step) override;
  void await(std::string_view step, const std::function<bool()>& ready, std::optional<base::TimePoint> until) override;

 private:
  struct Member;

  Member& pick();
  void give_baton(Member& to);
  void pass_baton(Member& self);
  void arrive();
  void leave(Member& self);
  void wait_for_arrival();
  void live(Member& self, const std::function<void()>& work);
  [[noreturn]] void fail(const std::string& why) const;

  const std::uint64_t switch_one_in_;
  const std::chrono::nanoseconds step_time_;
  Random random_;
  base::TimePoint now_{std::chrono::hours(1)};
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Device*> devices_;
  std::string context_;

  std::binary_semaphore started_{0};
  // A new thread arrives beside whoever runs.
  std::mutex arrival_mutex_;
  std::condition_variable arrived_;
  std::unique_ptr<Member> arriving_;

  std::vector<std::string> notes_;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325;
  bool print_ = false;
};

}  // namespace actable::test
