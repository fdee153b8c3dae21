// Errors as answers, and back.

#include "actors/workers.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

#include <stdexcept>

using namespace actable;
using namespace actable::test;

TEST_CASE("every error code comes back from an answer as it was, with its message", "[errors]") {
  const auto code = GENERATE(
      values<ErrorCode>({ErrorCode::invalid_argument, ErrorCode::too_large, ErrorCode::not_found, ErrorCode::overloaded,
                         ErrorCode::read_only, ErrorCode::indeterminate, ErrorCode::io_error, ErrorCode::corrupt,
                         ErrorCode::locked, ErrorCode::unsupported, ErrorCode::closed, ErrorCode::no_memory}));
  const caf::error answer = make_error(code, "what happened");
  // CAF takes a code of 0 for no error at all.
  REQUIRE(answer);
  CHECK(to_error(answer).code == code);
  CHECK(to_error(answer).message == "what happened");
  CHECK(to_error(caf::error(code)).code == code);
}

TEST_CASE("an error code that is not known claims nothing", "[errors]") {
  constexpr std::uint8_t k_unknown = 200;
  const caf::error later(k_unknown, make_error(ErrorCode::closed).category());
  CHECK(to_error(later).code == ErrorCode::indeterminate);
}

TEST_CASE("errors of the actor system never claim that nothing was changed, where something may have been",
          "[errors]") {
  CHECK(to_error(caf::sec::request_receiver_down).code == ErrorCode::indeterminate);
  CHECK(to_error(caf::sec::request_timeout).code == ErrorCode::indeterminate);
  CHECK(to_error(caf::sec::runtime_error).code == ErrorCode::indeterminate);
  CHECK(to_error(caf::exit_reason::kill).code == ErrorCode::indeterminate);
  CHECK(to_error(caf::sec::unexpected_message).code == ErrorCode::invalid_argument);
  CHECK(to_error(caf::exit_reason::user_shutdown).code == ErrorCode::closed);
}

TEST_CASE("an exception in a handler ends the actor, is told as its reason, and answers the request", "[errors]") {
  Stage stage;
  const auto load = std::make_shared<actors::Load>();
  const caf::actor thrower = stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) -> caf::behavior {
    actors::be_worker(self, load);
    return {[](int) -> int { throw std::runtime_error("a bug"); }};
  });
  std::string reason;
  thrower->attach_functor([&](const caf::error& error) { reason = stage.system().render(error); });
  const Answer<int> answer = stage.ask<int>(thrower, 1);
  CHECK(outcome(answer) == "indeterminate");
  CHECK_THAT(reason, ContainsSubstring("a bug"));
}

TEST_CASE("a request that an actor does not have is an invalid argument, and counts as taken up", "[errors]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  CHECK(outcome(stage.ask<int>(space, std::string("no such request"))) == "invalid_argument");
  CHECK(stage.stats_of("space s").waiting == 0);
  CHECK(stage.stats_of("space s").processed == 1);
}
