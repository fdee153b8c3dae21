#include "shell/doctor.h"

#include "shell/text.h"

#include <algorithm>
#include <functional>

namespace shell {
namespace {

using actable::debug::Document;
using Weight = Finding::Weight;

// Where waiting for a sync is felt: a disk with a cache that keeps what it
// acknowledged takes some 0.1 to 2 ms, one without 10 to 20.
constexpr double k_slow_sync_us = 20'000;
constexpr double k_slow_lag_us = 1e6;
constexpr double k_busy_share = 0.8;
constexpr std::uint64_t k_waiting_many = 256;
constexpr std::uint64_t k_epochs_behind_many = 100;
constexpr std::uint64_t k_log_bytes_many = std::uint64_t{4} << 30;

/// Thread safety: *confined*; used once.
class Diagnosis {
 public:
  Diagnosis(const Moment& before, const Moment& after, double seconds)
      : before_(before), after_(after), seconds_(seconds) {}

  std::vector<Finding> run() {
    writes();
    disk();
    readers();
    actors();
    machine();
    std::ranges::stable_sort(found_, std::greater<>(), &Finding::weight);
    return std::move(found_);
  }

 private:
  void find(Weight weight, std::string what, std::string advice) {
    found_.push_back({weight, std::move(what), std::move(advice)});
  }
  [[nodiscard]] std::uint64_t now(const char* part, const char* field) const {
    return after_.stats[part][field].number();
  }
  [[nodiscard]] std::uint64_t grown(const char* part, const char* field) const {
    const std::uint64_t was = before_.stats[part][field].number();
    return std::max(now(part, field), was) - was;
  }
  [[nodiscard]] std::uint64_t option(std::string_view name) const {
    for (const Document& line : after_.config.list()) {
      if (line["option"].text() == name) return line["value"].number();
    }
    return 0;
  }

  void writes() {
    if (after_.stats["store"]["read_only"].truth()) {
      find(Weight::bad,
           "The store takes no more writes: " + std::string(after_.stats["store"]["read_only_reason"].text()),
           "mend what it names, and heal the store (Store::heal) or open it again; reads go on meanwhile");
    }
    const std::uint64_t overloads = grown("log", "overloads"), waits = grown("log", "waits");
    if (overloads > 0) {
      find(Weight::bad,
           count_text(overloads) + " writes were refused as overloaded in " + time_text(seconds_ * 1e6) +
               ": the disk did not keep up for the whole of write_deadline",
           "write less, or to a faster disk; staging_bytes rides out short stalls only");
    }
    if (waits > overloads) {
      find(Weight::slow,
           count_text(waits - overloads) + " writes had to wait for room in " + time_text(seconds_ * 1e6) +
               ": the disk is slower than the writers",
           "a faster disk; a larger staging_bytes where it is slow for moments only (" +
               bytes_text(static_cast<double>(now("log", "staging_bytes"))) + " are in use)");
    }
  }

  void disk() {
    const auto lag = static_cast<double>(now("store", "durable_lag_us"));
    if (lag > k_slow_lag_us) {
      find(Weight::slow, "The oldest write that is not on disk has waited for " + time_text(lag),
           "look at `log`: if syncs are slow, the disk is; if there are none, a thread may be stopped inside a write");
    }
    const Document& durations = after_.stats["log"]["sync_durations"];
    const double often = sync_quantile_us(durations, 0.5), seldom = sync_quantile_us(durations, 0.99);
    if (seldom >= k_slow_sync_us) {
      find(often >= k_slow_sync_us ? Weight::slow : Weight::remark,
           "One sync in a hundred takes " + time_text(seldom / 2) + " or longer, one in two " + time_text(often) +
               " at most: writes with Durability::sync wait that long",
           "put the directory on a disk of its own, or on one with a cache that survives a loss of power");
    }
    if (after_.stats["log"]["io"].text() == "pwrite") {
      find(Weight::remark, "The log is written with pwrite, not with io_uring",
           "allow io_uring (kernel.io_uring_disabled, the container's seccomp profile) where the log is busy");
    }
    if (!after_.stats["log"]["io"].text().empty() && !after_.stats["log"]["direct_io"].truth()) {
      find(Weight::remark, "The file system takes no direct writes: they go through the system's cache",
           "put the directory on ext4 or xfs where syncs are slow");
    }
    const std::uint64_t log_bytes = now("log", "written_bytes") + now("recovery", "log_bytes");
    if (log_bytes > k_log_bytes_many) {
      find(Weight::remark,
           "The log holds " + bytes_text(static_cast<double>(log_bytes)) + ", which opening the store reads",
           "expect a slow start (the last one took " + time_text(static_cast<double>(now("recovery", "duration_us"))) +
               ")");
    }
  }

  void readers() {
    const std::uint64_t behind =
        now("store", "epoch") - std::min(now("store", "epoch"), now("store", "epoch_pinned_oldest"));
    if (behind > k_epochs_behind_many || grown("store", "pins_long") > 0) {
      find(Weight::slow,
           "A thread has been inside an operation for " + count_text(behind) +
               " epochs: replaced records cannot be used again meanwhile, and if it writes, nothing becomes durable",
           "keep visitors and the functions given to update short; with more busy threads than cores, use fewer");
    }
    const std::uint64_t retired = now("memory", "retired_bytes"), most = option("retired_bytes");
    if (most != 0 && retired > most) {
      find(Weight::slow,
           "Replaced records hold " + bytes_text(static_cast<double>(retired)) + ", more than retired_bytes (" +
               bytes_text(static_cast<double>(most)) + "): writers let others run before each write",
           "find the thread that stays inside an operation; or `set retired_bytes` higher");
    }
  }

  void actors() {
    for (const Document& actor : after_.actors.list()) {
      const std::string name(actor["name"].text());
      const Document* was = nullptr;
      for (const Document& one : before_.actors.list()) was = one["name"].text() == name ? &one : was;
      const auto grew = [&](const char* field) {
        const std::uint64_t before = was == nullptr ? 0 : (*was)[field].number();
        return actor[field].number() - std::min(actor[field].number(), before);
      };
      if (actor["state"].text() == "stopped") {
        find(Weight::bad, "The actor " + name + " was given up: " + std::string(actor["last_crash"].text()),
             "mend what it crashed over, and start the store again");
      }
      const std::uint64_t refused = grew("refused");
      if (refused > 0) {
        find(Weight::slow, count_text(refused) + " requests to the actor " + name + " were refused",
             "send fewer at a time, or raise mailbox_max; use the space directly where speed counts");
      }
      if (actor["waiting"].number() > k_waiting_many) {
        find(Weight::slow, count_text(actor["waiting"].number()) + " requests wait for the actor " + name,
             "use the space directly where speed counts, or batches");
      }
      const double busy = static_cast<double>(grew("busy_us")) / (seconds_ * 1e6);
      if (busy > k_busy_share) {
        find(Weight::slow, "The actor " + name + " is busy for " + percent_text(busy) + " of the time",
             "it is one thread's work at most: use the space directly, or batches");
      }
      if (grew("restarts") > 0) {
        find(Weight::slow,
             "The actor " + name + " was started again just now: " + std::string(actor["last_crash"].text()),
             "its requests of that moment were lost; the host's log says more");
      }
    }
  }

  void machine() {
    if (!after_.stats["store"]["membarrier"].truth()) {
      find(Weight::remark, "The kernel has no membarrier for this process: every operation pays for a fence",
           "allow membarrier in the container's seccomp profile");
    }
    // Of 4,096.
    constexpr std::uint64_t k_threads_many = 3'500;
    if (now("store", "threads") > k_threads_many) {
      find(Weight::slow, count_text(now("store", "threads")) + " threads use stores; 4,096 may",
           "use a pool of threads");
    }
  }

  const Moment& before_;
  const Moment& after_;
  const double seconds_;
  std::vector<Finding> found_;
};

}  // namespace

double sync_quantile_us(const Document& durations, double share) {
  std::uint64_t all = 0;
  for (const Document& count : durations.list()) all += count.number();
  if (all == 0) return 0;
  const double wanted = share * static_cast<double>(all);
  std::uint64_t so_far = 0;
  double most = 1;
  for (const Document& count : durations.list()) {
    so_far += count.number();
    if (static_cast<double>(so_far) >= wanted) return most;
    most *= 2;
  }
  return most;
}

std::vector<Finding> diagnose(const Moment& before, const Moment& after, double seconds) {
  return Diagnosis(before, after, seconds).run();
}

}  // namespace shell
