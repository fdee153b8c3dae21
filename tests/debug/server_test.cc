// The server of the debug socket: answers, and is not held up by any client.

#include "debug/server.h"
#include "debug/client.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace actable;
using namespace actable::debug;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

/// A server that echoes; `hold` keeps requests until `release`.
class Echo {
 public:
  explicit Echo(ServerLimits limits = {}) {
    server_ =
        must(Server::start(directory_.path(),
                           {.ask = [this](std::shared_ptr<Question> question) { return take(std::move(question)); },
                            .gone = [this](std::uint64_t) { gone_.fetch_add(1); },
                            .report = [](LogLevel, const std::string&) {}},
                           limits));
  }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }
  [[nodiscard]] unsigned gone() const { return gone_.load(); }
  [[nodiscard]] Server& server() { return *server_; }
  [[nodiscard]] Client client(bool writes = false) {
    return must(Client::connect(directory(), {.writes = writes, .name = "test", .patience = 60s}));
  }
  [[nodiscard]] std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  void release() {
    const std::lock_guard lock(mutex_);
    for (const auto& question : held_) answer(*question);
    held_.clear();
  }
  /// As an actor does that crashes over them.
  void drop() {
    const std::lock_guard lock(mutex_);
    held_.clear();
  }

 private:
  bool take(std::shared_ptr<Question> question) {
    const std::string& command = question->request().command;
    if (command == "nobody") return false;
    if (command == "hold") {
      const std::lock_guard lock(mutex_);
      held_.push_back(std::move(question));
    } else {
      answer(*question);
    }
    return true;
  }
  static void answer(Question& question) {
    Document result = question.request().arguments;
    if (question.request().command == "large") result = Bytes{std::string(result["bytes"].number(), 'x')};
    if (question.request().command == "writes") result = question.asker().writes;
    question.answer(std::move(result));
  }

  const TemporaryDirectory directory_;
  std::atomic<unsigned> gone_{0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Question>> held_;
  std::unique_ptr<Server> server_;
};

/// A client that keeps to nothing.
class Raw {
 public:
  explicit Raw(const std::filesystem::path& directory) : socket_(must(connect_in(directory))) {}
  explicit Raw(base::Descriptor socket) : socket_(std::move(socket)) {}

  void say(std::string_view bytes) {
    REQUIRE(send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  void greet() {
    say(frame(encode(Hello{false, "raw"})));
    REQUIRE(decode_welcome(hear()).has_value());
  }
  /// The next message; empty when the server has closed.
  std::string hear() {
    while (true) {
      if (auto message = must(buffer_.take())) return *message;
      std::array<char, 4096> bytes;
      const ssize_t got = recv(socket_.number(), bytes.data(), bytes.size(), 0);
      if (got <= 0) return {};
      buffer_.append({bytes.data(), static_cast<std::size_t>(got)});
    }
  }
  [[nodiscard]] int descriptor() const { return socket_.number(); }

 private:
  base::Descriptor socket_;
  FrameBuffer buffer_{k_reply_bytes_max};
};

}  // namespace

TEST_CASE("requests are answered, one after the other, of several clients", "[server]") {
  Echo echo;
  Client one = echo.client(), two = echo.client(true);
  CHECK(one.welcome().process == static_cast<std::uint64_t>(getpid()));
  CHECK(one.welcome().directory == echo.directory());
  for (unsigned i = 0; i < 50; ++i) {
    CHECK(must(one.ask("echo", {{"n", i}}))["n"].number() == i);
    CHECK(must(two.ask("echo", {{"n", i + 1}}))["n"].number() == i + 1);
  }
  CHECK_FALSE(must(one.ask("writes")).truth());
  CHECK(must(two.ask("writes")).truth());
}

TEST_CASE("a reply as large as one may be arrives, a larger one is an error", "[server]") {
  Echo echo;
  Client client = echo.client();
  const std::size_t most = k_reply_bytes_max - 64;
  CHECK(must(client.ask("large", {{"bytes", most}})).bytes().size() == most);
  CHECK(outcome(client.ask("large", {{"bytes", k_reply_bytes_max}})) == "too_large");
  CHECK(must(client.ask("large", {{"bytes", 3U}})).bytes() == "xxx");
}

TEST_CASE("where nobody is there to answer, that is the answer", "[server]") {
  Echo echo;
  Client client = echo.client();
  CHECK(outcome(client.ask("nobody")) == "overloaded");
  CHECK(outcome(client.ask("echo")) == "ok");
}

TEST_CASE("the ninth client is turned away with a reason, and has a place when one has gone", "[server]") {
  Echo echo;
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(echo.client());
  const auto ninth = Client::connect(echo.directory(), {});
  CHECK(outcome(ninth) == "overloaded");
  CHECK_THAT(message(ninth), ContainsSubstring("8 debug clients"));
  clients.pop_back();
  until("the place is free", [&] { return echo.gone() == 1; });
  CHECK(outcome(Client::connect(echo.directory(), {})) == "ok");
}

TEST_CASE("a client of another version is told so in one line, and then disconnected", "[server]") {
  Echo echo;
  Raw raw(echo.directory());
  raw.say(frame(pack(Document::Map{{"protocol", "actable-debug"}, {"version", 2U}, {"more", "than we know"}})));
  const auto answer = decode_welcome(raw.hear());
  CHECK(outcome(answer) == "unsupported");
  CHECK_THAT(message(answer), ContainsSubstring("speaks version 2"));
  CHECK(raw.hear().empty());
}

TEST_CASE("rubbish is answered with an error and the end, and harms nobody else", "[server]") {
  Echo echo;
  Client other = echo.client();
  const auto answer_to = [&echo](bool greeted, const std::string& bytes) {
    Raw raw(echo.directory());
    if (greeted) raw.greet();
    raw.say(bytes);
    const std::string heard = raw.hear();
    const std::string code = greeted ? outcome(must(decode_reply(heard)).result) : outcome(decode_welcome(heard));
    CHECK(raw.hear().empty());
    return code;
  };
  CHECK(answer_to(false, frame("rubbish")) == "corrupt");
  CHECK(answer_to(false, std::string("\xff\xff\xff\xff", 4)) == "too_large");
  CHECK(answer_to(true, std::string(4, '\0')) == "corrupt");
  CHECK(answer_to(true, frame("\x80")) == "corrupt");
  CHECK(answer_to(true, frame(encode(Hello{}))) == "corrupt");
  CHECK(must(other.ask("echo", {{"n", 1U}}))["n"].number() == 1);
}

TEST_CASE("a client that stops in the middle of a message is given up", "[server]") {
  {
    Echo echo({.hello = 50ms});
    Raw silent(echo.directory());
    CHECK(silent.hear().empty());
    until("it is forgotten", [&] { return echo.gone() == 1; });
  }
  // Here there is time for the greeting, however slow the machine is.
  Echo echo({.request = 50ms});
  Raw half(echo.directory());
  half.greet();
  const std::string request = frame(encode(Request{1, "echo"}));
  half.say(request.substr(0, request.size() - 1));
  CHECK(half.hear().empty());
  until("it is forgotten", [&] { return echo.gone() == 1; });
}

TEST_CASE("a client that does not read is given up, and holds up nobody", "[server]") {
  Echo echo({.reply = 200ms});
  Client other = echo.client();
  Raw deaf(echo.directory());
  deaf.greet();
  deaf.say(frame(encode(Request{1, "large", Document::Map{{"bytes", std::size_t{4} << 20}}})));
  unsigned answered = 0;
  until("the deaf client is given up", [&] {
    answered += must(other.ask("echo", {{"n", 5U}}))["n"].number() == 5 ? 1 : 0;
    return echo.gone() == 1;
  });
  CHECK(answered > 0);
}

TEST_CASE("an answer that does not come in time is indeterminate, and one too late is dropped", "[server]") {
  Echo echo({.answer = 50ms});
  Client client = echo.client();
  CHECK(outcome(client.ask("hold")) == "indeterminate");
  CHECK(echo.held() == 1);
  echo.release();
  CHECK(must(client.ask("echo", {{"n", 9U}}))["n"].number() == 9);
}

TEST_CASE("a question that is dropped answers itself", "[server]") {
  Echo echo;
  Client client = echo.client();
  std::thread dropper([&] {
    until("it is asked", [&] { return echo.held() == 1; });
    echo.drop();
  });
  const auto answer = client.ask("hold");
  dropper.join();
  CHECK(outcome(answer) == "indeterminate");
  CHECK_THAT(message(answer), ContainsSubstring("crashed before it answered"));
  CHECK(must(client.ask("echo", {{"n", 3U}}))["n"].number() == 3);
}

TEST_CASE("an answer that comes too late is not taken for that of a request with the same id", "[server]") {
  Echo echo({.answer = 500ms});
  Raw raw(echo.directory());
  raw.greet();
  raw.say(frame(encode(Request{1, "hold", Document::Map{{"n", 1U}}})));
  CHECK(outcome(must(decode_reply(raw.hear())).result) == "indeterminate");
  raw.say(frame(encode(Request{1, "hold", Document::Map{{"n", 2U}}})));
  until("both are held", [&] { return echo.held() == 2; });
  echo.release();
  const Reply reply = must(decode_reply(raw.hear()));
  // Or this one expired too, on a machine that was busy elsewhere.
  if (reply.result) CHECK((*reply.result)["n"].number() == 2);
}

TEST_CASE("a client that goes while its request is held is forgotten at once", "[server]") {
  Echo echo;
  {
    Raw raw(echo.directory());
    raw.greet();
    raw.say(frame(encode(Request{1, "hold"})));
    until("it is asked", [&] { return echo.held() == 1; });
  }
  until("it is forgotten", [&] { return echo.gone() == 1; });
  echo.release();
  CHECK(outcome(echo.client().ask("echo")) == "ok");
}

TEST_CASE("requests that came before their turn are taken in their turn", "[server]") {
  Echo echo;
  Raw raw(echo.directory());
  std::string all = frame(encode(Hello{false, "raw"}));
  for (std::uint64_t i = 1; i <= 5; ++i) all += frame(encode(Request{i, "echo", Document::Map{{"n", i}}}));
  raw.say(all);
  REQUIRE(decode_welcome(raw.hear()).has_value());
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const Reply reply = must(decode_reply(raw.hear()));
    CHECK(reply.id == i);
    CHECK(reply.result.value()["n"].number() == i);
  }
}

TEST_CASE("a process that has no descriptors left lets clients wait, and does not turn in circles", "[server]") {
  Echo echo;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (echo.directory() / k_socket_name).string();
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  base::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // No number is free below the limit.
  std::vector<base::Descriptor> filled;
  int highest = socket.number();
  do {
    filled.emplace_back(dup(socket.number()));
    highest = std::max(highest, filled.back().number());
  } while (filled.back().number() < highest || filled.size() < 3);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none_left = before;
  none_left.rlim_cur = static_cast<rlim_t>(highest) + 1;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none_left) == 0);
  const bool connected = connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const auto processor_ms = [] {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1'000 + used.tv_nsec / 1'000'000;
  };
  const auto used_before = processor_ms();
  poll(nullptr, 0, 400);
  const auto used = processor_ms() - used_before;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(connected);
  CHECK(used < 200);
  Raw raw(std::move(socket));
  raw.greet();
}

TEST_CASE("stopping ends the connections: clients learn that the process has gone", "[server]") {
  Echo echo;
  Client idle = echo.client(), waiting = echo.client();
  Result<Document> answer = Document();
  std::thread asker([&] { answer = waiting.ask("hold"); });
  until("it is asked", [&] { return echo.held() == 1; });
  echo.server().stop();
  asker.join();
  CHECK(outcome(answer) == "closed");
  CHECK(outcome(idle.ask("echo")) == "closed");
  CHECK_FALSE(idle.connected());
  CHECK_FALSE(std::filesystem::exists(echo.directory() / k_socket_name));
  // Nobody is there any more; nothing happens.
  echo.release();
  echo.server().stop();
}

TEST_CASE("an interrupted client waits no longer", "[server]") {
  Echo echo;
  std::atomic<bool> interrupted{false};
  Client client = must(Client::connect(echo.directory(), {.patience = 60s, .interrupted = &interrupted}));
  std::thread interrupter([&] {
    until("it is asked", [&] { return echo.held() == 1; });
    interrupted = true;
  });
  const auto answer = client.ask("hold");
  interrupter.join();
  CHECK(outcome(answer) == "closed");
  CHECK(message(answer) == "interrupted");
}
