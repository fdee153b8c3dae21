#include "benchmarks/engines/child.h"
#include "benchmarks/engines/kinds.h"

#include <hiredis/hiredis.h>

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

namespace bench {

namespace {

/// As `redis-benchmark -P 64` has it.
constexpr std::size_t k_pipeline = 64;
constexpr auto k_look_again = std::chrono::milliseconds(2);
constexpr const char* k_server = "redis-server";
constexpr const char* k_snapshot_file = "dump.rdb";
constexpr const char* k_log_directory = "appendonlydir";

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

std::string_view text_of(const redisReply& reply) { return {reply.str, static_cast<std::size_t>(reply.len)}; }

/// A connection to the server. Commands are appended and sent with the first
/// reply that is asked for.
class Connection {
 public:
  explicit Connection(const std::string& socket) : context_(redisConnectUnix(socket.c_str())) {}

  [[nodiscard]] bool good() const noexcept { return context_ != nullptr && context_->err == 0; }

  template <std::size_t N>
  void append(const std::array<std::string_view, N>& words) {
    append(std::span<const std::string_view>(words));
  }

  void append(std::span<const std::string_view> words) {
    pointers_.clear();
    lengths_.clear();
    for (const std::string_view word : words) {
      pointers_.push_back(word.data());
      lengths_.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), pointers_.data(), lengths_.data()) !=
        REDIS_OK) {
      fail("append");
    }
  }

  Reply reply() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK) fail("reply");
    Reply owned(static_cast<redisReply*>(reply));
    if (owned->type == REDIS_REPLY_ERROR) throw Failure("redis: " + std::string(text_of(*owned)));
    return owned;
  }

  template <class... Words>
  Reply ask(Words... words) {
    append(std::array<std::string_view, sizeof...(Words)>{words...});
    return reply();
  }

 private:
  [[noreturn]] void fail(const char* doing) const {
    throw Failure("redis: " + std::string(doing) + ": " + (good() ? "failed" : context_->errstr));
  }

  std::unique_ptr<redisContext, FreeContext> context_;
  std::vector<const char*> pointers_;
  std::vector<std::size_t> lengths_;
};

class RedisSession final : public LoopingSession<RedisSession> {
 public:
  RedisSession(const std::string& socket, bool pipelined) : connection_(socket), pipelined_(pipelined) {
    if (!connection_.good()) throw Failure("redis: cannot connect to " + socket);
  }

  void put(std::string_view key, std::string_view value) override { (void)connection_.ask("SET", key, value); }

  bool get(std::string_view key, std::string& value) override { return take(*connection_.ask("GET", key), value); }

  bool erase(std::string_view key) override { return connection_.ask("DEL", key)->integer == 1; }

  void multi_get(std::span<const std::string_view> keys, Values values) override {
    words_.assign({"MGET"});
    words_.insert(words_.end(), keys.begin(), keys.end());
    connection_.append(words_);
    const Reply reply = connection_.reply();
    if (reply->elements != keys.size()) throw Failure("redis: MGET answered with another number of values");
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) values[i].emplace();
      if (!take(*reply->element[i], *values[i])) values[i].reset();
    }
  }

  [[nodiscard]] std::size_t calls_at_once() const noexcept override { return pipelined_ ? k_pipeline : 1; }

  void apply(std::span<Call> calls) override {
    for (const Call& call : calls) send(call);
    for (Call& call : calls) {
      const Reply reply = connection_.reply();
      if (call.verb == Verb::get) call.found = take(*reply, *call.result);
      if (call.verb == Verb::erase) call.found = reply->integer == 1;
    }
  }

 private:
  void send(const Call& call) {
    switch (call.verb) {
      case Verb::get:
        return connection_.append(std::array<std::string_view, 2>{"GET", call.key});
      case Verb::put:
        return connection_.append(std::array<std::string_view, 3>{"SET", call.key, call.value});
      case Verb::erase:
        return connection_.append(std::array<std::string_view, 2>{"DEL", call.key});
    }
  }

  static bool take(const redisReply& reply, std::string& value) {
    if (reply.type != REDIS_REPLY_STRING) return false;
    value.assign(text_of(reply));
    return true;
  }

  Connection connection_;
  bool pipelined_;
  std::vector<std::string_view> words_;
};

/// A file that is closed when it goes; the server has it by then.
class File {
 public:
  File(const char* path, int flags) : fd_(::open(path, flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw Failure("redis: cannot open " + std::string(path) + ": " + std::strerror(errno));
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Its own server, with its files in the engine's directory.
class RedisEngine : public Engine {
 public:
  explicit RedisEngine(const EngineOptions& options)
      : socket_((options.directory / "socket").string()),
        log_((options.directory / "server.log").string()),
        child_(arguments(options), Child::Files{File("/dev/null", O_RDONLY).get(),
                                                File(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND).get()}),
        control_(wait_until_it_answers()),
        empty_bytes_(is_empty() ? std::optional(used_bytes()) : std::nullopt) {}

  std::unique_ptr<Session> session(Durability durability) override {
    if (durability != Durability::none) follow(durability == Durability::sync ? "always" : "everysec");
    // Where each write is to be on disk before the next there is nothing to
    // send along with it.
    return std::make_unique<RedisSession>(socket_, durability != Durability::sync);
  }

  /// In the mode `always` the reply to a write comes after a sync, which takes
  /// along all that was written before.
  void settle() override {
    if (policy_.empty()) return;
    const std::string before = policy_;
    follow("always");
    (void)control_.ask("SET", "settled", "");
    (void)control_.ask("DEL", "settled");
    follow(before);
  }

  void checkpoint() override { (void)control_.ask("SAVE"); }

  std::optional<std::uint64_t> memory_bytes() override {
    if (!empty_bytes_) return std::nullopt;
    const std::uint64_t used = used_bytes();
    return used - std::min(used, *empty_bytes_);
  }

 private:
  std::vector<std::string> arguments(const EngineOptions& options) const {
    if (socket_.size() >= sizeof(sockaddr_un::sun_path)) {
      throw Failure("redis: the path of its socket is too long (" + socket_ + "); choose a shorter --dir");
    }
    // A server that has a log loads that and not the snapshot.
    const bool has_snapshot = std::filesystem::exists(options.directory / k_snapshot_file);
    if (has_snapshot) std::filesystem::remove_all(options.directory / k_log_directory);
    const bool logs = options.durability != Durability::none && !has_snapshot;
    return {find_program(k_server).value_or(k_server).string(),
            "--port",
            "0",
            "--unixsocket",
            socket_,
            "--unixsocketperm",
            "600",
            "--dir",
            options.directory.string(),
            "--save",
            "",
            "--appendonly",
            logs ? "yes" : "no",
            "--appendfsync",
            options.durability == Durability::sync ? "always" : "everysec",
            "--auto-aof-rewrite-percentage",
            "0",
            "--maxmemory",
            "0"};
  }

  /// A server that has a log reads it first, and says so when asked.
  Connection wait_until_it_answers() {
    for (;;) {
      Connection connection(socket_);
      if (connection.good() && answers(connection)) return connection;
      if (!child_.running()) throw Failure("redis: the server ended: " + last_line());
      std::this_thread::sleep_for(k_look_again);
    }
  }

  static bool answers(Connection& connection) {
    try {
      (void)connection.ask("PING");
      return true;
    } catch (const Failure& failure) {
      if (std::string_view(failure.what()).find("LOADING") == std::string_view::npos) throw;
      return false;
    }
  }

  [[nodiscard]] std::string last_line() const {
    std::ifstream in(log_);
    std::string last, line;
    while (std::getline(in, line)) {
      if (!line.empty()) last = line;
    }
    return last;
  }

  /// Says when what is appended is synced.
  void follow(const std::string& policy) {
    if (policy == policy_) return;
    (void)control_.ask("CONFIG", "SET", "appendfsync", std::string_view(policy));
    policy_ = policy;
  }

  bool is_empty() { return control_.ask("DBSIZE")->integer == 0; }

  std::uint64_t used_bytes() {
    constexpr std::string_view k_field = "used_memory:";
    const Reply reply = control_.ask("INFO", "memory");
    const std::string_view text = text_of(*reply);
    const std::size_t at = text.find(k_field);
    std::uint64_t bytes = 0;
    if (at != std::string_view::npos) {
      const char* number = text.data() + at + k_field.size();
      std::from_chars(number, text.data() + text.size(), bytes);
    }
    return bytes;
  }

  std::string socket_;
  std::string log_;
  Child child_;
  Connection control_;
  /// What the server takes without data; not known of one that came with some.
  std::optional<std::uint64_t> empty_bytes_;
  /// Empty in a server without a log.
  std::string policy_;
};

/// "Redis server v=7.0.15 sha=…", as the server says of itself.
std::string server_version() {
  std::string said;
  if (FILE* pipe = ::popen("redis-server --version", "re"); pipe != nullptr) {
    char line[256];
    if (std::fgets(line, sizeof line, pipe) != nullptr) said = line;
    ::pclose(pipe);
  }
  const std::size_t begin = said.find("v=");
  if (begin == std::string::npos) return "of unknown version";
  return said.substr(begin + 2, said.find(' ', begin) - begin - 2);
}

}  // namespace

bool redis_is_here() { return find_program(k_server).has_value(); }

EngineKind redis_kind() {
  return {.name = "redis",
          .about = server_version() + ", client hiredis " + std::to_string(HIREDIS_MAJOR) + "." +
                   std::to_string(HIREDIS_MINOR) +
                   ", a server of its own on a Unix socket, pipelines of 64 but where synchronous or at a --rate; "
                   "appendfsync everysec, always where durability is sync, no log where it is none",
          .has_log = true,
          .has_checkpoint = true,
          .own_process = true,
          .key_bytes_max = k_no_limit,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<RedisEngine>(options);
          }};
}

}  // namespace bench
