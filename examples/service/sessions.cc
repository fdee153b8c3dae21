#include "examples/service/sessions.h"

#include <memory>
#include <optional>
#include <utility>

namespace service {

namespace {

using actable::Error;
using actable::Result;
using actable::Seq;

/// Inside an actor nothing may wait: where the log has no room, the request is
/// refused with `overloaded` instead.
constexpr actable::WriteOptions k_at_once{.no_wait = true};

caf::error as_caf(const Error& error) { return actable::make_error(error.code, error.message); }

Error no_session(const std::string& id) {
  return {actable::ErrorCode::not_found, "no session " + id + ": log in first"};
}

/// One request at a time comes here, so what is read is still there when it is
/// written back.
class Sessions {
 public:
  Sessions(SessionsActor::pointer self, SessionSpaces spaces, actable::LogActor log)
      : self_(self), spaces_(std::move(spaces)), log_(std::move(log)) {}

  caf::result<std::string> log_in(const std::string& user) {
    const auto number = spaces_.counters.add("sessions", 1, k_at_once);
    if (!number) return as_caf(number.error());
    const std::string id = "session-" + std::to_string(*number);
    return when_durable(spaces_.active.put(id, {.user = user}, k_at_once), id);
  }

  caf::result<std::uint64_t> buy(const std::string& id, const std::string& item) {
    std::uint64_t items = 0;
    const auto change = [&](std::optional<Session> session) -> std::optional<Session> {
      if (session) {
        session->cart.push_back(item);
        items = session->cart.size();
      }
      return session;
    };
    const Result<Seq> updated = spaces_.active.update(id, change, k_at_once);
    if (!updated) return as_caf(updated.error());
    if (*updated == 0) return as_caf(no_session(id));
    return items;
  }

  caf::result<std::string> show(const std::string& id) const {
    const auto session = spaces_.active.get(id);
    if (!session) return as_caf(session.error());
    if (!*session) return as_caf(no_session(id));
    std::string text = (*session)->user + ":";
    for (const std::string& item : (*session)->cart) text += " " + item;
    return text;
  }

  caf::result<std::string> log_out(const std::string& id) {
    std::optional<Session> ended;
    const auto end = [&](std::optional<Session> session) -> std::optional<Session> {
      ended = std::move(session);
      return std::nullopt;
    };
    const Result<Seq> erased = spaces_.active.update(id, end, k_at_once);
    if (erased && !ended) return as_caf(no_session(id));
    return when_durable(erased, ended ? ended->user : std::string());
  }

 private:
  /// The answer comes when the write of that number is on disk.
  caf::result<std::string> when_durable(const Result<Seq>& seq, const std::string& answer) {
    if (!seq) return as_caf(seq.error());
    auto promise = self_->make_response_promise<std::string>();
    actable::answer_when_durable(log_, *seq, promise, answer);
    return promise;
  }

  const SessionsActor::pointer self_;
  SessionSpaces spaces_;
  const actable::LogActor log_;
};

}  // namespace

Result<SessionSpaces> SessionSpaces::open(actable::Store& store) {
  auto active = store.space("active");
  if (!active) return std::unexpected(active.error());
  auto counters = store.space("counters");
  if (!counters) return std::unexpected(counters.error());
  return SessionSpaces{actable::TypedSpace<Session>(*std::move(active)), *std::move(counters)};
}

SessionsActor::behavior_type sessions(SessionsActor::pointer self, SessionSpaces spaces, actable::LogActor log) {
  const auto state = std::make_shared<Sessions>(self, std::move(spaces), std::move(log));
  return {
      [state](login_atom, const std::string& user) { return state->log_in(user); },
      [state](buy_atom, const std::string& id, const std::string& item) { return state->buy(id, item); },
      [state](show_atom, const std::string& id) { return state->show(id); },
      [state](logout_atom, const std::string& id) { return state->log_out(id); },
  };
}

}  // namespace service
