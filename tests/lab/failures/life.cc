#include "tests/lab/failures/life.h"

#include "store/access.h"
#include "store/checks.h"
#include "tests/lab/leg.h"
#include "tests/support/model.h"
#include "tests/support/results.h"

#include <algorithm>

namespace actable::lab {
namespace {

using test::must;
using test::allocations::Counted;
using test::allocations::Spared;

}  // namespace

/// Calls the store, with its allocations counted. Only what fills containers of
/// the caller's may throw; then it was as if refused.
Client::Came Client::ask(std::string_view what, bool may_throw, const std::function<Came()>& call) {
  scheduler_.note("client: " + std::string(what));
  Came came;
  bool threw = false;
  try {
    const Counted counted;
    came = call();
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  require(!threw || may_throw, std::string(what) + " let std::bad_alloc out");
  if (threw) came.error = Error{ErrorCode::no_memory, "thrown"};
  if (came.error) {
    scheduler_.note("client: " + std::string(what) + " came to " + std::string(to_string(came.error->code)) + ": " +
                    came.error->message);
  }
  return came;
}

bool Client::failed_in_this_life() const noexcept {
  return seam_.failed().size() + test::allocations::failed() != failures_before_;
}

/// What has failed is well again; what is yet to fail will.
void Client::heal() {
  if (!failed_in_this_life()) return;
  seam_.heal();
  test::allocations::heal();
  failures_before_ = seam_.failed().size() + test::allocations::failed();
}

/// Is this what a call may come to after a failure? `waited`: it waited for the disk.
void Client::tolerate(std::string_view what, const Error& error, bool waited) const {
  const std::string came =
      std::string(what) + " came to " + std::string(to_string(error.code)) + " (" + error.message + ")";
  require(failed_in_this_life() || broken_, came + ", and nothing had failed");
  const bool memory = test::allocations::failed() != 0;
  switch (error.code) {
    case ErrorCode::read_only:
      return;
    case ErrorCode::indeterminate:
      return require(waited, came + ", though it did not wait for the disk");
    case ErrorCode::no_memory:
    case ErrorCode::overloaded:
      return require(memory, came + ", and memory was to be had");
    default:
      require(false, came);
  }
}

/// Readers see what the calls so far have said.
void Client::compare(std::string_view after) {
  const std::string wrong = difference(content_of(*store_), content_);
  require(wrong.empty(), "after " + std::string(after) + " " + wrong);
}

std::optional<Error> Client::try_open(const Options& options) {
  const auto names = disk_.names();
  seam_.enter(std::ranges::find(names, "STORE") == names.end() ? Phase::creating : Phase::recovering);
  const auto call = [&] {
    // As Store::open, over the seam.
    auto opened = store::guarded("opening the store", [&] { return store::Access::open_unchecked(options, seam_); });
    if (!opened) return Came{std::move(opened).error()};
    store_.emplace(std::move(*opened));
    return Came{};
  };
  return ask("open", false, call).error;
}

void Client::open(const Options& options) {
  if (const auto error = try_open(options)) {
    const bool typed = error->code == ErrorCode::io_error || error->code == ErrorCode::no_memory ||
                       error->code == ErrorCode::indeterminate || error->code == ErrorCode::overloaded;
    require(failed_in_this_life(), "open failed, and nothing else had: " + error->message);
    require(typed, "open came to " + std::string(to_string(error->code)) + ": " + error->message);
    require(seam_.held() == 0, "a failed open keeps files, a queue or the directory's lock");
    keep("after open failed");
    heal();
    const auto again = try_open(options);
    require(!again, "open failed on a disk that is well again: " + (again ? again->message : ""));
  }
  seam_.enter(Phase::running);
  const Content found = content_of(*store_);
  const std::string wrong = history_.judge(found, store_->stats().recovery.cut);
  require(wrong.empty(), wrong);
  content_ = found;
  history_.begin_with(found);
}

void Client::close() {
  compare("all");
  seam_.enter(Phase::closing);
  const auto returned = history_.all_returned();
  const Came came = ask("close", false, [this] { return Came{error_of(store_->close())}; });
  if (came.error) {
    tolerate("close", *came.error, true);
  } else {
    history_.durable(returned);
  }
  {
    const Counted counted;
    store_.reset();
  }
  require(seam_.held() == 0, "a closed store keeps files, a queue or the directory's lock");
  broken_ = false;
  if (failed_in_this_life()) keep("after close");
  heal();
}

std::string Client::fresh_value(std::size_t bytes) {
  std::string value = std::to_string(++serial_) + ".";
  value.resize(std::max(bytes, value.size()), static_cast<char>('a' + serial_ % 26));
  return value;
}

Seq Client::number_now(const Key& key) {
  Seq seq = 0;
  (void)must(must(store_->space(key.space)).visit(key.key, [&seq](const Entry& entry) { seq = entry.seq; }));
  return seq;
}

/// A handle to a space that is there; none if making it failed earlier.
std::optional<Space> Client::space(const std::string& name) {
  if (!content_.contains({"", name})) return std::nullopt;
  return must(store_->space(name));
}

/// A write was done: readers see it.
void Client::finish(std::size_t write, const Key& key) {
  const Write& done = history_.at(write);
  if (!done.value) {
    history_.returned(write, store_->last_seq());
    content_.erase(key);
    return;
  }
  const std::string value = *done.value;
  const Seq seq = number_now(key);
  require(seq > highest_, "a number was given out again, or a write is not seen");
  highest_ = seq;
  history_.numbered(write, seq);
  content_[key] = {value, seq};
}

void Client::write(std::string_view what, const Key& key, std::optional<std::string> value, WriteOptions options,
                   const std::function<Came(Space&)>& call) {
  auto into = space(key.space);
  if (!into) return;
  const auto before = content_.find(key);
  const Seq above = before == content_.end() ? 0 : before->second.seq;
  const std::size_t write = history_.begin({.key = key, .value = std::move(value), .above = above});
  const bool waits = options.durability == Durability::sync;
  const Came came = ask(what, what == "take", [&] { return call(*into); });
  if (!came.error) {
    require(came.wrote, std::string(what) + " did nothing");
    finish(write, key);
    if (waits) history_.durable(write);
    return;
  }
  tolerate(what, *came.error, waits);
  if (came.error->refused()) {
    history_.refused(write);
  } else {
    finish(write, key);
  }
  compare(what);
}

void Client::put(const Key& key, std::size_t bytes, WriteOptions options) {
  const std::string value = fresh_value(bytes);
  write("put", key, value, options, [&](Space& s) { return Came{error_of(s.put(key.key, value, options))}; });
}

void Client::put_if_absent(const Key& key) {
  const std::string value = fresh_value(20);
  write("put_if_absent", key, value, {}, [&](Space& s) {
    auto wrote = s.put_if_absent(key.key, value);
    const bool did = wrote && *wrote;
    return Came{error_of(std::move(wrote)), did};
  });
}

void Client::compare_and_set(const Key& key) {
  const std::string value = fresh_value(20);
  const auto before = content_.find(key);
  const Seq expected = before == content_.end() ? 0 : before->second.seq;
  write("compare_and_set", key, value, {}, [&](Space& s) {
    auto wrote = s.compare_and_set(key.key, expected, value);
    const bool did = wrote && *wrote;
    return Came{error_of(std::move(wrote)), did};
  });
}

void Client::add(const Key& key) {
  const auto last = content_.find(key);
  std::int64_t before = 0;
  for (std::size_t i = last == content_.end() ? 0 : 8; i-- > 0;) {
    before = before << 8 | static_cast<unsigned char>(last->second.value[i]);
  }
  write("add", key, test::counter_bytes(before + 1), {}, [&](Space& s) { return Came{error_of(s.add(key.key, 1))}; });
}

void Client::update(const Key& key, WriteOptions options) {
  const std::string value = fresh_value(30);
  write("update", key, value, options, [&](Space& s) {
    return Came{error_of(s.update(
        key.key,
        [&value](std::optional<std::string_view>) {
          // The user's own memory.
          const Spared spared;
          return std::optional(value);
        },
        options))};
  });
}

void Client::erase(const Key& key) {
  if (!content_.contains(key)) return;
  write("erase", key, std::nullopt, {}, [&](Space& s) {
    auto wrote = s.erase(key.key);
    const bool did = wrote && *wrote;
    return Came{error_of(std::move(wrote)), did};
  });
}

void Client::take(const Key& key) {
  if (!content_.contains(key)) return;
  write("take", key, std::nullopt, {}, [&](Space& s) {
    auto taken = s.take(key.key);
    const bool did = taken && *taken;
    return Came{error_of(std::move(taken)), did};
  });
}

/// Begins the writes of a batch; their places in the history.
std::vector<std::size_t> Client::begin_batch(const std::vector<Key>& keys) {
  std::vector<std::size_t> writes;
  const std::uint64_t number = ++serial_;
  for (const Key& key : keys) {
    const auto before = content_.find(key);
    const Seq above = before == content_.end() ? 0 : before->second.seq;
    writes.push_back(history_.begin({.key = key, .value = fresh_value(10), .above = above, .batch = number}));
  }
  return writes;
}

/// False when an operation found no memory in the batch.
bool Client::fill(Batch& batch, const std::vector<std::size_t>& writes) {
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const Write& due = history_.at(writes[i]);
    const Space into = must(store_->space(due.key.space));
    const auto put = [&] { return Came{error_of(batch.put(into, due.key.key, *due.value))}; };
    const Came came = ask("Batch::put", false, put);
    if (!came.error) continue;
    tolerate("Batch::put", *came.error, false);
    require(batch.size() == i, "a refused Batch::put changed the batch");
    return false;
  }
  return true;
}

/// A batch was written: readers see it, under one number.
void Client::finish_batch(const std::vector<std::size_t>& writes) {
  const Seq seq = number_now(history_.at(writes.front()).key);
  require(seq > highest_, "a number was given out again, or a batch is not seen");
  highest_ = seq;
  for (const std::size_t write : writes) {
    const Write& done = history_.at(write);
    require(number_now(done.key) == seq, "the writes of a batch have several numbers");
    content_[done.key] = {*done.value, seq};
    history_.numbered(write, seq);
  }
}

void Client::batch(const std::vector<Key>& keys, WriteOptions options) {
  const auto there = [this](const Key& key) { return content_.contains({"", key.space}); };
  if (!std::ranges::all_of(keys, there)) return;
  const std::vector<std::size_t> writes = begin_batch(keys);
  const auto all_refused = [&] {
    for (const std::size_t write : writes) history_.refused(write);
  };
  Batch batch;
  if (!fill(batch, writes)) return all_refused();
  const bool waits = options.durability == Durability::sync;
  const Came came = ask("batch", false, [&] { return Came{error_of(store_->write(batch, options))}; });
  if (came.error) tolerate("batch", *came.error, waits);
  if (came.error && came.error->refused()) {
    all_refused();
  } else {
    finish_batch(writes);
  }
  if (came.error) return compare("batch");
  if (waits) history_.durable(writes);
}

void Client::read(const Key& key) {
  auto from = space(key.space);
  if (!from) return;
  std::string value;
  const Came came = ask("get", true, [&] { return Came{error_of(from->get(key.key, value))}; });
  if (came.error) return tolerate("get", *came.error, false);
  const auto due = content_.find(key);
  require(due == content_.end() ? value.empty() : value == due->second.value, "get found another value");
}

void Client::scan(const std::string& name) {
  auto from = space(name);
  if (!from) return;
  std::size_t found = 0;
  const Came came = ask("scan", false, [&] {
    Cursor cursor = from->scan();
    while (true) {
      auto next = cursor.next();
      if (!next) return Came{std::move(next).error()};
      if (!*next) return Came{};
      const Spared spared;
      const auto due = content_.find({name, std::string(cursor.entry().key)});
      require(due != content_.end() && due->second.value == cursor.entry().value, "a scan found another value");
      ++found;
    }
  });
  // A cursor that there was no memory for says that it is closed.
  const bool none = came.error && came.error->code == ErrorCode::closed && test::allocations::failed() != 0;
  if (none) return;
  if (came.error) return tolerate("scan", *came.error, false);
  require(found == from->size(), "a scan did not find all keys");
}

void Client::make_space(const std::string& name) {
  const std::size_t made = history_.begin({.key = {"", name}, .value = ""});
  const Came came = ask("space", false, [&] { return Came{error_of(store_->space(name))}; });
  if (!came.error) {
    history_.returned(made, store_->last_seq());
    content_[{"", name}] = {};
    return;
  }
  tolerate("space", *came.error, false);
  history_.refused(made);
  compare("space");
}

void Client::drop_space(const std::string& name) {
  if (!content_.contains({"", name})) return;
  const std::size_t gone = history_.begin({.key = {"", name}, .value = std::nullopt});
  const Came came = ask("drop_space", false, [&] { return Came{error_of(store_->drop_space(name))}; });
  if (!came.error) {
    history_.returned(gone, store_->last_seq());
    std::erase_if(content_, [&](const auto& held) { return held.first.space == name || held.first == Key{"", name}; });
    return;
  }
  tolerate("drop_space", *came.error, false);
  history_.refused(gone);
  compare("drop_space");
}

void Client::sync() {
  const auto returned = history_.all_returned();
  const Came came = ask("sync", false, [&] { return Came{error_of(store_->sync())}; });
  if (!came.error) return history_.durable(returned);
  tolerate("sync", *came.error, true);
  compare("sync");
}

void Client::pause(std::chrono::milliseconds time) { scheduler_.pause(time); }

}  // namespace actable::lab
