#include "benchmarks/clock.h"
#include "benchmarks/engines/child.h"
#include "benchmarks/engines/ets_script.h"
#include "benchmarks/engines/kinds.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/keys.h"
#include "benchmarks/remote.h"
#include "benchmarks/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace bench {

namespace {

constexpr const char* k_escript = "escript";
constexpr auto k_look_every = std::chrono::milliseconds(37);
constexpr auto k_patience = std::chrono::seconds(1);
/// What Erlang has for "no end", within its small integers.
constexpr std::uint64_t k_limit_max = std::uint64_t{1} << 58;

// The script knows them by number.
static_assert(static_cast<int>(Kind::read) == 0 && static_cast<int>(Kind::read_missing) == 1 &&
              static_cast<int>(Kind::put) == 2 && static_cast<int>(Kind::erase) == 3 &&
              static_cast<int>(Kind::read_modify_write) == 4);

/// Both ends of a pipe, closed when they go; the child gets copies of its own.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw Failure("ets: cannot make a pipe: " + std::string(std::strerror(errno)));
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends_[0]);
    close_writing();
  }
  void close_writing() noexcept {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  [[nodiscard]] int to_read() const noexcept { return ends_[0]; }
  [[nodiscard]] int to_write() const noexcept { return ends_[1]; }

 private:
  int ends_[2] = {-1, -1};
};

/// Talks with the script in lines:
///
///   ready                             once, when it has started
///   run L H B E K V LIMIT…            L workers and H helpers on the files plan.0 and so on,
///                                     B keys a call, one in E timed, keys of K and values of V bytes
///   drawn                             the answer, when all plans are read
///   go, and stop before the limits    starts them; ends them
///   done COUNT BEGAN ENDED …          the answer, a worker after the other, in ns;
///                                     the times taken are in samples.0 and so on
///   memory V, memory BYTES            what the table and values of V bytes take
///   failed WHY                        at any time: it has ended
class Script {
 public:
  explicit Script(const std::filesystem::path& directory)
      : child_(start(directory), Child::Files{to_script_.to_read(), from_script_.to_write()}) {}

  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  /// It ends at the end of its input, sooner than by a signal.
  ~Script() {
    to_script_.close_writing();
    child_.ends_within(k_patience);
  }

  void say(const std::string& line) {
    const std::string text = line + "\n";
    if (::write(to_script_.to_write(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw Failure("ets: the script does not listen: " + std::string(std::strerror(errno)));
    }
  }

  /// The rest of a line that begins with `word`; `waiting` is called until it
  /// comes.
  std::istringstream hear(
      const std::string& word, const std::function<void()>& waiting = [] {}) {
    for (;;) {
      const std::size_t end = heard_.find('\n');
      if (end == std::string::npos) {
        listen();
        waiting();
        continue;
      }
      const std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      if (line.starts_with("failed ")) throw Failure("ets: " + line.substr(7));
      if (line.starts_with(word)) return std::istringstream(line.substr(word.size()));
      last_ = line;
    }
  }

 private:
  static std::vector<std::string> start(const std::filesystem::path& directory) {
    const std::filesystem::path script = directory / "ets.escript";
    std::ofstream out(script);
    out << k_ets_script;
    out.close();
    if (!out) throw Failure("ets: cannot write " + script.string());
    return {find_program(k_escript).value_or(k_escript).string(), script.string(), directory.string()};
  }

  void listen() {
    pollfd ready{.fd = from_script_.to_read(), .events = POLLIN, .revents = 0};
    if (interrupted()) throw Interrupted{};
    const int found = ::poll(&ready, 1, static_cast<int>(k_look_every.count()));
    char text[4096];
    const ssize_t bytes = found > 0 ? ::read(ready.fd, text, sizeof text) : 0;
    if (bytes > 0) heard_.append(text, static_cast<std::size_t>(bytes));
    // This side has the pipe open for writing too, so it is not seen to end.
    if (found == 0 && !child_.running()) throw Failure("ets: the script ended" + (last_.empty() ? "" : ": " + last_));
  }

  Pipe to_script_;
  Pipe from_script_;
  Child child_;
  std::string heard_;
  /// What came that nobody waited for: the complaint of a runtime that ended.
  std::string last_;
};

/// A put or get from here would be one of the pipe's.
class EtsEngine : public Engine, public Remote {
 public:
  explicit EtsEngine(const EngineOptions& options) : options_(options), script_(options.directory) {
    (void)script_.hear("ready");
  }

  std::unique_ptr<Session> session(Durability) override { throw Failure("ets: takes whole plans"); }

  [[nodiscard]] Remote* remote(Way) noexcept override { return this; }

  std::optional<std::uint64_t> memory_bytes() override {
    script_.say("memory " + std::to_string(options_.value_bytes));
    std::uint64_t bytes = 0;
    script_.hear("memory ") >> bytes;
    return bytes;
  }

  Outcome run(RemoteWork work, const std::function<void(double)>& waiting) override {
    std::string command = "run " + std::to_string(work.parts.size() - work.helpers);
    const std::uint64_t numbers[] = {work.helpers, work.batch, work.sample_every, options_.key_bytes,
                                     options_.value_bytes};
    for (const std::uint64_t number : numbers) command += " " + std::to_string(number);
    for (std::size_t i = 0; i < work.parts.size(); ++i) {
      write_plan(i, work.parts[i].plan);
      command += " " + std::to_string(std::min(work.parts[i].limit, k_limit_max));
    }
    script_.say(command);
    (void)script_.hear("drawn");
    script_.say("go");
    std::istringstream done =
        script_.hear("done", [&, began = std::chrono::steady_clock::now(), over = false]() mutable {
          const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
          waiting(seconds);
          if (over || work.duration_s <= 0 || seconds < work.duration_s) return;
          over = true;
          script_.say("stop");
        });
    return outcome(work, done);
  }

 private:
  [[nodiscard]] std::filesystem::path file(const char* kind, std::size_t number) const {
    return options_.directory / (std::string(kind) + "." + std::to_string(number));
  }

  /// For each step the key's number, 4 bytes, least significant first, and the
  /// kind.
  void write_plan(std::size_t number, const Plan& plan) const {
    std::string data;
    data.reserve(plan.steps().size() * 5);
    for (const Step& step : plan.steps()) {
      for (unsigned shift = 0; shift < 32; shift += 8) data += static_cast<char>(step.key_number() >> shift & 0xff);
      data += static_cast<char>(step.kind);
    }
    std::ofstream out(file("plan", number), std::ios::binary);
    out << data;
    out.close();
    if (!out) throw Failure("ets: cannot write " + file("plan", number).string());
  }

  Outcome outcome(const RemoteWork& work, std::istringstream& done) const {
    Outcome outcome;
    std::uint64_t first = Remote::k_no_limit, last = 0;
    std::vector<double> rates, helper_rates;
    for (std::size_t i = 0; i < work.parts.size(); ++i) {
      std::uint64_t count = 0;
      std::int64_t began = 0, ended = 0;
      if (!(done >> count >> began >> ended)) throw Failure("ets: the script said too little");
      // Erlang's clock begins below zero; only differences are meant.
      const auto from = static_cast<std::uint64_t>(began) + (std::uint64_t{1} << 63);
      const auto to = static_cast<std::uint64_t>(ended) + (std::uint64_t{1} << 63);
      const double rate = static_cast<double>(count) / static_cast<double>(std::max<std::uint64_t>(to - from, 1));
      if (i >= work.parts.size() - work.helpers) {
        outcome.writer_ops += count;
        helper_rates.push_back(rate);
        continue;
      }
      rates.push_back(rate);
      first = std::min(first, from);
      last = std::max(last, to);
      outcome.ops += count;
      read_samples(i, outcome.latency);
    }
    outcome.seconds = static_cast<double>(last - first) / 1e9;
    outcome.fairness = fairness_of(rates);
    outcome.writer_fairness = fairness_of(helper_rates);
    return outcome;
  }

  void read_samples(std::size_t number, Histogram& latency) const {
    std::ifstream in(file("samples", number), std::ios::binary);
    const double ticks_per_ns = Clock::get().ticks_per_second() / 1e9;
    unsigned char bytes[8];
    while (in.read(reinterpret_cast<char*>(bytes), sizeof bytes)) {
      std::uint64_t ns = 0;
      for (unsigned i = 0; i < sizeof bytes; ++i) ns |= std::uint64_t{bytes[i]} << (8 * i);
      latency.record(static_cast<std::uint64_t>(static_cast<double>(ns) * ticks_per_ns));
    }
  }

  EngineOptions options_;
  Script script_;
};

}  // namespace

bool ets_is_here() { return find_program(k_escript).has_value(); }

EngineKind ets_kind() {
  return {.name = "ets",
          .about =
              "a table of Erlang in an escript, set, read_concurrency, write_concurrency; a process a thread, "
              "plans drawn here, done there; a value is made for each put",
          .has_log = false,
          .own_process = true,
          .whole_plans = true,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<EtsEngine>(options);
          }};
}

}  // namespace bench
