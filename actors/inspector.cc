#include "actors/inspector.h"

#include "actors/debug_documents.h"
#include "store/access.h"
#include "store/checks.h"

#include <actable/typed.h>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <utility>

namespace actable::actors {
namespace {

using debug::Bytes;
using debug::Document;
using debug::Question;
using List = Document::List;
using Map = Document::Map;

// Of spaces and of actors in one reply.
constexpr std::size_t k_listed_max = 1'000;
constexpr std::uint64_t k_walk_max = std::uint64_t{1} << 40;
constexpr std::uint64_t k_top_max = 1'000;

/// The process's memory that is not swapped out; 0 where the system does not say.
[[nodiscard]] std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

[[nodiscard]] std::string shown(std::string_view key) { return typed::printable(key); }

}  // namespace

const Document* Arguments::take(std::string_view name) {
  const Document* const found = map_.find(name);
  if (found == nullptr) {
    note(name, "is missing");
  } else {
    ++taken_;
  }
  return found;
}

void Arguments::note(std::string_view name, std::string_view what) {
  if (wrong_.empty()) wrong_ = "the argument '" + std::string(name) + "' " + std::string(what);
}

std::string Arguments::text(std::string_view name) {
  const Document* const found = take(name);
  const auto* const value = found == nullptr ? nullptr : found->as<std::string>();
  if (found != nullptr && value == nullptr) note(name, "is no text");
  return value == nullptr ? std::string() : *value;
}

std::string Arguments::bytes(std::string_view name) {
  const Document* const found = take(name);
  const auto* const value = found == nullptr ? nullptr : found->as<Bytes>();
  if (found != nullptr && value == nullptr) note(name, "is not of bytes");
  return value == nullptr ? std::string() : value->bytes;
}

std::int64_t Arguments::integer(std::string_view name) {
  const Document* const found = take(name);
  if (found == nullptr) return 0;
  if (const auto* const negative = found->as<std::int64_t>()) return *negative;
  const auto* const positive = found->as<std::uint64_t>();
  if (positive != nullptr && std::in_range<std::int64_t>(*positive)) return static_cast<std::int64_t>(*positive);
  note(name, "is no integer of 64 bits with a sign");
  return 0;
}

bool Arguments::truth(std::string_view name) {
  const Document* const found = take(name);
  if (found != nullptr && found->as<bool>() == nullptr) note(name, "is neither true nor false");
  return found != nullptr && found->truth();
}

std::vector<std::string_view> Arguments::list_of_bytes(std::string_view name, std::size_t most) {
  const Document* const found = take(name);
  if (found == nullptr) return {};
  const auto* const list = found->as<List>();
  const auto of_bytes = [](const Document& one) { return one.as<Bytes>() != nullptr; };
  if (list == nullptr || !std::ranges::all_of(*list, of_bytes)) note(name, "is no list of bytes");
  if (list != nullptr && list->size() > most) note(name, "has more than " + std::to_string(most) + " elements");
  std::vector<std::string_view> elements;
  for (const Document& one : found->list()) elements.push_back(one.bytes());
  return elements;
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t least, std::uint64_t most) {
  const Document* const found = take(name);
  const auto* const value = found == nullptr ? nullptr : found->as<std::uint64_t>();
  if (value != nullptr && *value >= least && *value <= most) return *value;
  if (found != nullptr) note(name, "is no number from " + std::to_string(least) + " to " + std::to_string(most));
  return least;
}

Result<void> Arguments::check() const {
  if (!wrong_.empty()) return fail(ErrorCode::invalid_argument, wrong_);
  if (taken_ != map_.map().size())
    return fail(ErrorCode::invalid_argument, "there are arguments that the command has not");
  return {};
}

const Inspector::Command Inspector::k_commands[] = {
    {"stats", false, &Inspector::stats},
    {"spaces", false, &Inspector::spaces},
    {"shards", false, &Inspector::shards},
    {"actors", false, &Inspector::actors},
    {"config", false, &Inspector::config},
    {"get", false, &Inspector::get},
    {"scan", false, &Inspector::scan},
    {"count", false, &Inspector::count},
    {"big", false, &Inspector::big},
    {"next", false, &Inspector::next},
    {"trace", false, &Inspector::trace},
    {"analytics", false, &Inspector::analytics},
    {"monitor", false, &Inspector::monitor},
    {"put", true, &Inspector::put},
    {"erase", true, &Inspector::erase},
    {"add", true, &Inspector::add},
    {"sync", true, &Inspector::sync},
    {"restart", true, &Inspector::restart},
    {"crash", true, &Inspector::crash},
    {"set", true, &Inspector::set},
    {"put_many", true, &Inspector::put_many},
    {"put_part", true, &Inspector::put_part},
    {"checkpoint", true, &Inspector::checkpoint},
    {"heal", true, &Inspector::heal},
};

const Inspector::Command* Inspector::find(std::string_view name) {
  const auto* const found = std::ranges::find(k_commands, name, &Command::name);
  return found == std::end(k_commands) ? nullptr : found;
}

Inspector::~Inspector() {
  for (auto& [client, session] : sessions_) {
    end_loading(session);
    session.end();
  }
}

void Inspector::Session::end() const {
  if (trace != nullptr) trace->end();
  if (monitor != nullptr) monitor->end();
}

std::optional<Error> Inspector::refusal(const Question& asked) {
  const Command* const command = find(asked.request().command);
  if (command == nullptr) {
    return Error{ErrorCode::unsupported, "this process has no command '" + asked.request().command +
                                             "': use the actable-shell that was built with the service"};
  }
  if (command->writes && !asked.asker().writes) {
    return Error{ErrorCode::unsupported, "'" + asked.request().command +
                                             "' changes something, and this session is for looking only: start "
                                             "actable-shell with --allow-writes"};
  }
  return std::nullopt;
}

Inspector::Answer Inspector::answer(const Question& asked) {
  return store::guarded("the answer", [&]() -> Answer {
    if (auto refused = refusal(asked)) return std::unexpected(*std::move(refused));
    Arguments arguments(asked.request().arguments);
    return (this->*find(asked.request().command)->run)(asked, arguments);
  });
}

void Inspector::forget(std::uint64_t client) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  end_loading(found->second);
  found->second.end();
  sessions_.erase(found);
}

Inspector::Answer Inspector::stats(const Question&, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  Document document = document_of(tree_->store_stats());
  const auto uptime =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - tree_->started_at());
  document.as<Map>()->push_back({"process", Map{{"id", static_cast<std::uint64_t>(getpid())},
                                                {"store_open_ms", uptime.count()},
                                                {"resident_bytes", resident_bytes()}}});
  return document;
}

Inspector::Answer Inspector::spaces(const Question&, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  List list;
  for (const std::string& name : tree_->store().spaces()) {
    if (list.size() == k_listed_max) break;
    // It may have been dropped since.
    if (const auto space = tree_->existing_space(name)) list.push_back(document_of(name, space->stats()));
  }
  return Document(std::move(list));
}

Inspector::Answer Inspector::shards(const Question&, Arguments& arguments) {
  const Result<Space> of = space(arguments);
  if (!of) return std::unexpected(of.error());
  List list;
  for (const ShardStats& shard : of->stats().shards) list.push_back(document_of(shard));
  return Document(std::move(list));
}

Inspector::Answer Inspector::actors(const Question&, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  List list;
  for (const ActorStats& actor : tree_->actor_stats()) {
    if (list.size() == k_listed_max) break;
    list.push_back(document_of(actor));
  }
  return Document(std::move(list));
}

Inspector::Answer Inspector::config(const Question&, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  const store::StoreCore& core = tree_->board().store();
  ActorOptions actors = tree_->options();
  actors.sample_every = tree_->board().store().sampler().every();
  return document_of(core.options(), core.tuning(), actors);
}

Result<Space> Inspector::space(Arguments& arguments) {
  const std::string name = arguments.text("space");
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  Result<Space> found = tree_->existing_space(name);
  if (!found && found.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no space '" + name + "'; `spaces` lists them");
  }
  return found;
}

Inspector::Answer Inspector::get(const Question&, Arguments& arguments) {
  const std::string key = arguments.bytes("key");
  const Result<Space> from = space(arguments);
  if (!from) return std::unexpected(from.error());
  Document found;
  const auto seen = from->visit(key, [&found](const Entry& entry) {
    found = Map{{"seq", entry.seq}, {"durable", Document()}, {"value", Bytes{std::string(entry.value)}}};
  });
  if (!seen) return std::unexpected(seen.error());
  if (*seen && from->stats().logged && !tree_->in_memory()) {
    (*found.as<Map>())[1].value = tree_->store().durable_seq() >= found["seq"].number();
  }
  return found;
}

Inspector::Answer Inspector::begin(const Question& asked, std::unique_ptr<Walk> walk) {
  forget(asked.asker().client);
  Session& session = sessions_[asked.asker().client];
  session.walk = std::move(walk);
  return go_on(session);
}

Inspector::Answer Inspector::go_on(Session& session) {
  Answer result = session.walk->step();
  if (!result || session.walk->over()) session.walk.reset();
  return result;
}

Inspector::Answer Inspector::scan(const Question& asked, Arguments& arguments) {
  std::string prefix = arguments.bytes("prefix");
  const std::uint64_t limit = arguments.number("limit", 1, k_walk_max);
  const Result<Space> of = space(arguments);
  if (!of) return std::unexpected(of.error());
  return begin(asked, std::make_unique<ScanWalk>(*of, std::move(prefix), limit));
}

Inspector::Answer Inspector::count(const Question& asked, Arguments& arguments) {
  std::string prefix = arguments.bytes("prefix");
  const Result<Space> of = space(arguments);
  if (!of) return std::unexpected(of.error());
  return begin(asked, std::make_unique<CountWalk>(*of, std::move(prefix)));
}

Inspector::Answer Inspector::big(const Question& asked, Arguments& arguments) {
  const std::uint64_t sample = arguments.number("sample", 1, k_walk_max);
  const auto top = static_cast<std::size_t>(arguments.number("top", 1, k_top_max));
  const Result<Space> of = space(arguments);
  if (!of) return std::unexpected(of.error());
  return begin(asked, std::make_unique<BigWalk>(*of, sample, top));
}

Inspector::Answer Inspector::next(const Question& asked, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  Session& session = sessions_[asked.asker().client];
  if (session.walk != nullptr) return go_on(session);
  if (session.trace != nullptr) return fetch(session.trace);
  if (session.monitor != nullptr) return fetch(session.monitor);
  return fail(ErrorCode::not_found,
              "nothing is going on in this session: the debug actor was started again meanwhile, or it is over");
}

Inspector::Answer Inspector::fetch(std::shared_ptr<Trace>& trace) const {
  Trace::Fetched fetched = trace->fetch();
  if (!fetched.more) trace.reset();
  List messages;
  for (std::string& message : fetched.items) messages.emplace_back(std::move(message));
  return Map{{"messages", std::move(messages)}, {"dropped", fetched.dropped}, {"more", fetched.more}};
}

Inspector::Answer Inspector::fetch(std::shared_ptr<Monitor>& monitor) const {
  const Monitor::Fetched fetched = monitor->fetch();
  if (!fetched.more) monitor.reset();
  const auto names = tree_->board().store().space_names();
  List operations;
  for (const store::Sample& sample : fetched.items) {
    const auto name = names.find(sample.space);
    operations.push_back(document_of(sample, name == names.end() ? std::string() : name->second));
  }
  return Map{{"operations", std::move(operations)}, {"dropped", fetched.dropped}, {"more", fetched.more}};
}

Inspector::Answer Inspector::analytics(const Question&, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  return document_of(tree_->analytics().report());
}

Inspector::Answer Inspector::monitor(const Question& asked, Arguments& arguments) {
  const std::uint64_t count = arguments.number("count", 1, Monitor::k_items_max);
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  const auto monitor = std::make_shared<Monitor>(count);
  forget(asked.asker().client);
  sessions_[asked.asker().client].monitor = monitor;
  tree_->analytics().show(monitor);
  return Map{{"operations", List{}}, {"dropped", 0U}, {"more", true}};
}

Inspector::Answer Inspector::trace(const Question& asked, Arguments& arguments) {
  const std::string actor = arguments.text("actor");
  const std::uint64_t count = arguments.number("count", 1, Trace::k_items_max);
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  const auto trace = std::make_shared<Trace>(count);
  if (auto begun = tree_->trace(actor, trace); !begun) return std::unexpected(begun.error());
  forget(asked.asker().client);
  sessions_[asked.asker().client].trace = trace;
  return Map{{"messages", List{}}, {"dropped", 0U}, {"more", true}};
}

Result<void> Inspector::may_write(const Arguments& arguments) const {
  if (auto checked = arguments.check(); !checked) return checked;
  if (const caf::error refusal = tree_->write_refusal()) return std::unexpected(to_error(refusal));
  return {};
}

void Inspector::report(const debug::Asker& asker, const std::string& what) const {
  tree_->report(LogLevel::warning, "debug shell (user " + std::to_string(asker.peer.user) + ", process " +
                                       std::to_string(asker.peer.process) + ", " + shown(asker.name) + "): " + what);
}

Inspector::Answer Inspector::put(const Question& asked, Arguments& arguments) {
  const std::string key = arguments.bytes("key"), value = arguments.bytes("value");
  Result<Space> to = space(arguments);
  if (!to) return std::unexpected(to.error());
  if (auto may = may_write(arguments); !may) return std::unexpected(may.error());
  const Result<Seq> seq = to->put(key, value, {.no_wait = true});
  if (!seq) return std::unexpected(seq.error());
  report(asked.asker(),
         "put " + shown(key) + " with " + std::to_string(value.size()) + " bytes in the space " + shown(to->name()));
  return Document(*seq);
}

Inspector::Answer Inspector::erase(const Question& asked, Arguments& arguments) {
  const std::string key = arguments.bytes("key");
  Result<Space> from = space(arguments);
  if (!from) return std::unexpected(from.error());
  if (auto may = may_write(arguments); !may) return std::unexpected(may.error());
  const Result<bool> erased = from->erase(key, {.no_wait = true});
  if (!erased) return std::unexpected(erased.error());
  report(asked.asker(), (*erased ? "erased " : "would have erased ") + shown(key) +
                            (*erased ? "" : ", which was not there,") + " in the space " + shown(from->name()));
  return Document(*erased);
}

Inspector::Answer Inspector::add(const Question& asked, Arguments& arguments) {
  const std::string key = arguments.bytes("key");
  const std::int64_t delta = arguments.integer("delta");
  Result<Space> to = space(arguments);
  if (!to) return std::unexpected(to.error());
  if (auto may = may_write(arguments); !may) return std::unexpected(may.error());
  const Result<std::int64_t> sum = to->add(key, delta, {.no_wait = true});
  if (!sum) return std::unexpected(sum.error());
  report(asked.asker(), "added " + std::to_string(delta) + " to " + shown(key) + " in the space " + shown(to->name()));
  return Document(*sum);
}

/// Whose caller waits for the disk.
Inspector::Answer Inspector::sync(const Question& asked, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  if (const auto session = sessions_.find(asked.asker().client); session != sessions_.end()) {
    end_loading(session->second);
  }
  report(asked.asker(), "sync");
  return Document();
}

/// Whose caller waits for its end.
Inspector::Answer Inspector::checkpoint(const Question& asked, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  const auto pass = tree_->ask_for_checkpoint();
  if (!pass) return std::unexpected(pass.error());
  report(asked.asker(), "checkpoint");
  return Document(*pass);
}

/// Its caller hands the question on.
Inspector::Answer Inspector::heal(const Question& asked, Arguments& arguments) {
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  report(asked.asker(), "heal");
  return Document();
}

Inspector::Answer Inspector::drill(const Question& asked, Arguments& arguments, Tree::Drill what) {
  const std::string actor = arguments.text("actor");
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  if (auto done = tree_->drill(actor, what); !done) return std::unexpected(done.error());
  report(asked.asker(),
         (what == Tree::Drill::crash ? "crashed the actor " : "started again the actor ") + shown(actor));
  return Document();
}

Inspector::Answer Inspector::restart(const Question& asked, Arguments& arguments) {
  return drill(asked, arguments, Tree::Drill::restart);
}

Inspector::Answer Inspector::crash(const Question& asked, Arguments& arguments) {
  return drill(asked, arguments, Tree::Drill::crash);
}

Result<void> Inspector::tune(const std::string& option, const std::string& value) {
  store::StoreCore& core = tree_->board().store();
  const auto tuning = with_option(core.tuning(), option, value);
  if (!tuning) return std::unexpected(tuning.error());
  return core.tune(*tuning);
}

Result<void> Inspector::set_sampling(const std::string& value) {
  unsigned every = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), every);
  if (error == std::errc() && end == value.data() + value.size()) return tree_->sample(every);
  return fail(ErrorCode::invalid_argument,
              "'" + value + "' is no value for sample_every: give a number of operations, or 0 for none");
}

Inspector::Answer Inspector::set(const Question& asked, Arguments& arguments) {
  const std::string option = arguments.text("option"), value = arguments.text("value");
  if (auto checked = arguments.check(); !checked) return std::unexpected(checked.error());
  if (auto set = option == "sample_every" ? set_sampling(value) : tune(option, value); !set) {
    return std::unexpected(set.error());
  }
  report(asked.asker(), "set " + option + " to " + value);
  return Document();
}

}  // namespace actable::actors
