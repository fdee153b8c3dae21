// What the debug actor does for those who put many keys.

#include "actors/inspector.h"
#include "debug/protocol.h"
#include "store/checks.h"

#include <actable/typed.h>

#include <new>
#include <utility>

namespace actable::actors {
namespace {

using debug::Document;
using debug::Question;

[[nodiscard]] Document stored_document(std::uint64_t stored, Seq seq) {
  return Document::Map{{"stored", stored}, {"seq", seq}};
}

}  // namespace

Inspector::Loading& Inspector::loading(const Question& asked, const std::string& space) {
  Session& session = sessions_[asked.asker().client];
  if (session.loading && session.loading->space == space) return *session.loading;
  end_loading(session);
  report(asked.asker(), "begins to load keys into the space " + typed::printable(space));
  return session.loading.emplace(Loading{.asker = asked.asker(), .space = space});
}

void Inspector::end_loading(Session& session) const noexcept {
  if (!session.loading) return;
  try {
    const Loading& of = *session.loading;
    report(of.asker, "loaded " + std::to_string(of.keys) + " keys, " + std::to_string(of.bytes) +
                         " bytes, into the space " + typed::printable(of.space));
  } catch (const std::bad_alloc&) {
    // That it began is in the log.
  }
  session.loading.reset();
}

/// Entry by entry, each for itself: who asked sends those again that the first
/// refusal left out.
Inspector::Answer Inspector::put_many(const Question& asked, Arguments& arguments) {
  const auto entries = arguments.list_of_bytes("entries", 2 * debug::k_put_many_max);
  Result<Space> to = space(arguments);
  if (!to) return std::unexpected(to.error());
  if (entries.size() % 2 != 0)
    return fail(ErrorCode::invalid_argument, "the last of the entries is a key without a value");
  if (auto may = may_write(arguments); !may) return std::unexpected(may.error());
  Loading& load = loading(asked, to->name());
  std::uint64_t stored = 0;
  Seq last = 0;
  for (std::size_t i = 0; i < entries.size(); i += 2) {
    const Result<Seq> seq = to->put(entries[i], entries[i + 1], {.no_wait = true});
    if (!seq && stored == 0) return std::unexpected(seq.error());
    if (!seq) break;
    ++stored;
    last = *seq;
    ++load.keys;
    load.bytes += entries[i].size() + entries[i + 1].size();
  }
  return stored_document(stored, last);
}

/// A value that no request has room for.
Inspector::Answer Inspector::put_part(const Question& asked, Arguments& arguments) {
  const std::string key = arguments.bytes("key"), part = arguments.bytes("value");
  const auto offset = static_cast<std::size_t>(arguments.number("offset", 0, k_value_bytes_max));
  const bool last = arguments.truth("last");
  Result<Space> to = space(arguments);
  if (!to) return std::unexpected(to.error());
  if (!store::key_fits(key)) return store::bad_key(key);
  if (auto may = may_write(arguments); !may) return std::unexpected(may.error());
  Loading& load = loading(asked, to->name());
  if (offset == 0) {
    load.part_key = key;
    load.part_value.clear();
  }
  if (load.part_key != key || load.part_value.size() != offset) {
    return fail(ErrorCode::invalid_argument, "the part begins at " + std::to_string(offset) +
                                                 ", and what was before it has not come: begin again at 0");
  }
  if (offset + part.size() > k_value_bytes_max) {
    load.part_value = {};
    return fail(ErrorCode::too_large, "the value is longer than " + std::to_string(k_value_bytes_max) +
                                          " bytes: divide it over several keys");
  }
  load.part_value += part;
  if (!last) return stored_document(0, 0);
  const Result<Seq> seq = to->put(key, load.part_value, {.no_wait = true});
  if (!seq) {
    // As if the part had not come, so that it can be sent again.
    load.part_value.resize(offset);
    return std::unexpected(seq.error());
  }
  ++load.keys;
  load.bytes += key.size() + load.part_value.size();
  load.part_key = {};
  load.part_value = {};
  return stored_document(1, *seq);
}

}  // namespace actable::actors
