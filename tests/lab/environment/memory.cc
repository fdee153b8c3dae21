// Memory that runs out: under a limit on the address space or on the data of the
// process, and when the host itself has taken the rest. Errors are typed, what is
// there stays readable, and what was acknowledged is on disk.

#include "tests/lab/environment/filling.h"
#include "tests/lab/environment/process.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;

constexpr rlim_t k_mib = rlim_t{1} << 20;

struct Cap {
  __rlimit_resource resource = RLIMIT_AS;
  rlim_t room = 0;
  bool before_open = false;
  bool closes = false;
};

rlim_t in_use(__rlimit_resource resource) {
  std::ifstream statm("/proc/self/statm");
  rlim_t total = 0;
  rlim_t resident = 0;
  rlim_t shared = 0;
  rlim_t text = 0;
  rlim_t library = 0;
  rlim_t data = 0;
  statm >> total >> resident >> shared >> text >> library >> data;
  return (resource == RLIMIT_AS ? total : data) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

void limit(const Cap& cap) {
  const rlimit limits{in_use(cap.resource) + cap.room, RLIM_INFINITY};
  require(::setrlimit(cap.resource, &limits) == 0, "the limit cannot be set");
}

/// All memory that can still be had, down to the smallest piece.
///
/// Thread safety: *confined*.
class Hog {
 public:
  Hog() {
    for (std::size_t bytes = k_piece_bytes_max; bytes >= sizeof(Piece); bytes /= 2) {
      while (void* const memory = std::malloc(bytes)) first_ = new (memory) Piece{first_};
    }
  }
  ~Hog() {
    while (first_ != nullptr) std::free(std::exchange(first_, first_->next));
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

 private:
  struct Piece {
    Piece* next;
  };
  static constexpr std::size_t k_piece_bytes_max = std::size_t{4} << 20;
  Piece* first_ = nullptr;
};

// The child's exit status: which of its expectations failed.
enum Status : int { as_due = 0, not_opened, odd_error, not_closed };

/// What a store without memory may answer.
bool is_expected(const Error& error) {
  return error.code == ErrorCode::no_memory || error.code == ErrorCode::overloaded ||
         error.code == ErrorCode::read_only || error.code == ErrorCode::indeterminate;
}

/// The host has taken all the memory: every call still answers, with no exception.
Status try_without_memory(Store& store, Space& space) {
  const std::string_view value = "a value of some length, so that it does not fit any string itself";
  for (unsigned i = 0; i < 300; ++i) {
    std::array<char, 16> key{'h', static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26)};
    const std::string_view name(key.data(), 3);
    const auto put = space.put(name, value, i % 100 == 99 ? test::k_sync : WriteOptions{});
    if (!put && !is_expected(put.error())) return odd_error;
    const auto erased = space.erase(name);
    if (!erased && !is_expected(erased.error())) return odd_error;
  }
  if (const auto synced = store.sync(); !synced && !is_expected(synced.error())) return odd_error;
  return as_due;
}

/// The process whose memory is limited. Returns its status, or ends it, as a kill would.
int fill_under(const Cap& cap, const Options& options, Filling& filling, bool hogs) {
  if (cap.before_open) limit(cap);
  auto store = Store::open(options);
  if (!store) return store.error().code == ErrorCode::no_memory ? as_due : not_opened;
  auto space = store->space(Filling::space_name());
  auto beside = store->space("beside");
  for (const auto* one : {&space, &beside}) {
    if (!*one) return is_expected(one->error()) ? as_due : odd_error;
  }
  if (!cap.before_open) limit(cap);
  std::atomic<bool> odd{false};
  const auto stops = [&odd](const Error& error) {
    static thread_local unsigned refusals = 0;
    constexpr unsigned k_refusals_max = 200;
    if (!is_expected(error)) odd = true;
    return odd || ++refusals == k_refusals_max || error.code != ErrorCode::no_memory;
  };
  // The first thread is this one: there may be no memory for another.
  std::array<std::thread, Filling::k_threads - 1> others;
  for (unsigned i = 0; i < others.size(); ++i) {
    try {
      others.at(i) = std::thread([&, i] { filling.write(*store, i + 1, Filling::k_writes_max, stops); });
    } catch (const std::system_error&) {
      break;
    }
  }
  filling.write(*store, 0, Filling::k_writes_max, stops);
  for (std::thread& other : others) {
    if (other.joinable()) other.join();
  }
  if (odd) return odd_error;
  filling.check_readable(*space);
  if (hogs) {
    const Hog hog;
    if (const Status status = try_without_memory(*store, *beside); status != as_due) return status;
    filling.check_readable(*space);
  }
  const auto synced = store->sync();
  if (!synced && !is_expected(synced.error())) return odd_error;
  if (cap.closes) {
    if (const auto closed = store->close(); !closed && closed.error().code != ErrorCode::indeterminate) {
      return not_closed;
    }
  }
  ::_exit(as_due);
}

std::string meaning(int status) {
  switch (status) {
    case not_opened:
      return "opening failed with another error than no_memory";
    case odd_error:
      return "an operation failed with an error that does not speak of memory";
    case not_closed:
      return "closing failed";
    default:
      return "the process ended with status " + std::to_string(status);
  }
}

/// Returns how many writes succeeded.
std::uint64_t fill_and_reopen(Scenario& scenario, const Cap& cap, bool hogs) {
  const auto directory = scenario.fresh_directory();
  scenario.say(std::string(cap.resource == RLIMIT_AS ? "address space" : "data") + " of " +
               std::to_string(cap.room / k_mib) + " MiB more, " + (cap.before_open ? "before" : "after") +
               " the opening" + (hogs ? ", taken by the host in the end" : ""));
  Options options = test::small_store(directory);
  options.segment_bytes = 16 * k_mib;
  options.staging_bytes = 4 * k_mib;
  options.log_io = scenario.random.one_in(2) ? LogIo::pwrite : LogIo::automatic;
  Filling filling(scenario.random(), scenario.random.one_in(2) ? Lengths::mixed : Lengths::short_ones);
  Process process([&] { return fill_under(cap, options, filling, hogs); });
  const auto status = process.wait(120s);
  scenario.check(status.has_value(), "filling the memory hangs");
  scenario.check(*status == as_due, meaning(*status));
  scenario.lived();

  // What is to be found, whatever numbers the openings below move on to, even those that fail.
  const auto left = scenario.fresh_directory();
  std::filesystem::create_directory(left);
  std::filesystem::copy(directory, left, std::filesystem::copy_options::recursive);

  // Again as poor as before: refused, or whole.
  const Cap poor{cap.resource, cap.room / 2, true, true};
  Process reopens([&] {
    limit(poor);
    const auto store = Store::open(options);
    return store || store.error().code == ErrorCode::no_memory ? as_due : not_opened;
  });
  scenario.check(reopens.wait(120s) == as_due, "opening with little memory failed otherwise than with no_memory");
  // In a process of its own, so that this one can fork again.
  Process reader([&] {
    Options of_copy = options;
    of_copy.directory = left;
    Store copy = test::must(Store::open(of_copy));
    const Seq cut = copy.stats().recovery.cut;
    filling.check_prefix(copy, cut, scenario);
    test::must(copy.close());
    Store store = test::must(Store::open(options));
    filling.check_prefix(store, cut, scenario);
    return 0;
  });
  scenario.check(reader.wait(120s) == 0, "with memory again, the store is not what was written");
  return filling.written();
}

}  // namespace

void memory_is_capped(Scenario& scenario) {
  constexpr unsigned k_fillings = 5;
  std::uint64_t written = 0;
  for (unsigned i = 0; i < k_fillings; ++i) {
    Cap cap;
    cap.resource = i % 2 == 0 ? RLIMIT_AS : RLIMIT_DATA;
    cap.room = (12 + scenario.random.below(70)) * k_mib;
    cap.before_open = scenario.random.one_in(2);
    cap.closes = scenario.random.one_in(2);
    written += fill_and_reopen(scenario, cap, i >= 2);
  }
  scenario.check(written > 0, "no store could be opened, let alone filled");
}

}  // namespace actable::lab::environment
